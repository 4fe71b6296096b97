// Each schema that was ever released, as a dump of a database that a coordinator of that time left, opens
// with this release and holds what it held.
#include "coordinator/store/migrations.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "coordinator/state/trials.h"
#include "coordinator/store/curve_store.h"
#include "coordinator/store/sqlite_store.h"
#include "test_folder.h"

namespace mixln::coordinator::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Makes the database of a dump. Every version up to the present one has a dump: whoever adds a step adds one.
void Load(const std::string& dump, const std::filesystem::path& path) {
  const std::string file = absl::StrCat(MIXLN_SOURCE_DIR, "/tests/fixtures/schemas/", dump, ".sql");
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  ASSERT_FALSE(text.str().empty()) << "there is no " << file;
  SQLite::Database database(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec(text.str());
}

// A sweep that was under way: its trials are paused, running and pending.
void CheckSweepUnderWay(const state::State& state) {
  const v1::TrialCounts& counts = state.sweeps.at("live").counts();
  EXPECT_EQ(counts.paused() + counts.running() + counts.pending(), 3);

  const v1::Trial& paused = state.trials.at("live-0");
  EXPECT_EQ(paused.state(), v1::TRIAL_STATE_PAUSED);
  EXPECT_EQ(state::LiveAttemptOf(paused), nullptr);
  EXPECT_EQ(state::ResumePoint(paused)->step(), 15);

  const v1::Trial& running = state.trials.at("live-1");
  EXPECT_EQ(running.state(), v1::TRIAL_STATE_RUNNING);
  const v1::Attempt* attempt = state::LiveAttemptOf(running);
  ASSERT_TRUE(attempt != nullptr);
  EXPECT_EQ(state::KeyOf(attempt->fence()), state::FenceKey(3, 4));
  EXPECT_TRUE(attempt->started() && attempt->confirmed());
  EXPECT_TRUE(state::RunsOn(*attempt, state.workers.begin()->first));
  EXPECT_EQ(state::ResumePoint(running)->step(), 15);
  EXPECT_EQ(running.progress().step(), 15);

  const v1::Trial& pending = state.trials.at("live-2");
  EXPECT_EQ(pending.state(), v1::TRIAL_STATE_PENDING);
  EXPECT_THAT(pending.attempts(), IsEmpty());
}

TEST(Migrations, AStateOfEachSchemaIsRead) {
  for (size_t version = 1; version <= StateMigrations().steps.size(); ++version) {
    SCOPED_TRACE(version);
    const TestFolder folder;
    Load(absl::StrCat("state-", version), folder / "state.db");
    const auto store = SqliteStore::Open(folder / "state.db", "another");
    ASSERT_TRUE(store.ok()) << store.status();
    const auto state = (*store)->Load();
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_EQ(state->cluster_id, "5ca1ab1e");
    EXPECT_EQ(state->term, 4U);  // 3 at the dump, and one more with this start
    EXPECT_EQ(state->last_epoch, 4U);
    EXPECT_EQ(state->sweeps.at("old").spec().base().train().steps(), 30);
    ASSERT_THAT(state->trials, SizeIs(5));
    const v1::Trial& trial = state->trials.at("old-1");
    EXPECT_EQ(trial.state(), v1::TRIAL_STATE_SUCCEEDED);
    EXPECT_EQ(trial.parameters(0).path(), "norm.alpha");
    EXPECT_EQ(trial.parameters(0).value(), "0.5");
    EXPECT_EQ(trial.spec().norm().post_layers(), 2);
    ASSERT_THAT(trial.attempts(), SizeIs(1));
    EXPECT_GT(trial.attempts(0).fence().epoch(), 0U);
    EXPECT_EQ(trial.checkpoints(trial.checkpoints_size() - 1).step(), 30);
    ASSERT_THAT(state->workers, SizeIs(1));
    EXPECT_THAT(state->workers.begin()->second.deletions, SizeIs(version < 2 ? 0 : 1));
    CheckSweepUnderWay(*state);
  }
}

TEST(Migrations, CurvesOfEachSchemaAreRead) {
  for (size_t version = 1; version <= CurveMigrations().steps.size(); ++version) {
    SCOPED_TRACE(version);
    const TestFolder folder;
    Load(absl::StrCat("curves-", version), folder / "metrics.db");
    const auto store = CurveStore::Open(folder / "metrics.db", "5ca1ab1e", {});
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_THAT(*(*store)->TrialIds(), ElementsAre("old-0", "old-1"));
    EXPECT_EQ((*store)->Read("old-0", "loss", 0)->steps_size(), 30);
    EXPECT_EQ((*store)->Read("old-1", "eval_loss", 0)->steps_size(), 3);
  }
}

TEST(Migrations, StepsAreAppliedInOrderAndKeepWhatIsThere) {
  SQLite::Database database(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  const Migrations one{.database = "x.db", .steps = {"CREATE TABLE t (a); INSERT INTO t VALUES (7)"}};
  ASSERT_TRUE(Migrate(database, one).ok());
  const Migrations three{.database = "x.db",
                         .steps = {one.steps[0], "ALTER TABLE t ADD COLUMN b", "UPDATE t SET b = a + 1"}};
  ASSERT_TRUE(Migrate(database, three).ok());
  EXPECT_EQ(database.execAndGet("SELECT b FROM t").getInt(), 8);
  EXPECT_EQ(database.execAndGet("PRAGMA user_version").getInt(), 3);
  ASSERT_TRUE(Migrate(database, three).ok());
  EXPECT_EQ(database.execAndGet("SELECT count(*) FROM t").getInt(), 1);
  const auto older = Migrate(database, one);
  EXPECT_EQ(older.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(older.message()), HasSubstr("x.db has schema version 3"));
}

TEST(Migrations, AStepThatFailsLeavesTheOldSchemaWhole) {
  SQLite::Database database(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  const Migrations broken{.database = "x.db", .steps = {"CREATE TABLE t (a)", "NO SUCH WORDS"}};
  EXPECT_THROW((void)Migrate(database, broken), SQLite::Exception);
  EXPECT_EQ(database.execAndGet("PRAGMA user_version").getInt(), 0);
  EXPECT_FALSE(database.tableExists("t"));
}

}  // namespace
}  // namespace mixln::coordinator::store
