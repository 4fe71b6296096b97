#include "coordinator/store/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "coordinator/store/curve_store.h"
#include "coordinator/store/sqlite_store.h"
#include "coordinator/store/state_folder.h"
#include "test_folder.h"

namespace mixln::coordinator::store {
namespace {

using testing::HasSubstr;

constexpr uint64_t kRaise = uint64_t{1} << 32;

// What a coordinator leaves in its folder: one sweep of `trials` trials with a point of a curve each.
void Fill(const std::filesystem::path& folder, int trials) {
  state::State state;
  control::Changes changes{.sweeps = {"alpha"}, .trials = {}, .workers = {}, .epoch = true};
  state.last_epoch = 7;
  state.sweeps["alpha"].set_id("alpha");
  for (int i = 0; i < trials; ++i) {
    const std::string id = "alpha-" + std::to_string(i);
    state.trials[id].set_id(id);
    state.trials[id].set_sweep_id("alpha");
    changes.trials.insert(id);
  }
  auto store = SqliteStore::Open(folder / "state.db", "c1");
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->Commit(state, changes).ok());
  auto curves = CurveStore::Open(folder / "metrics.db", "c1", {});
  ASSERT_TRUE(curves.ok()) << curves.status();
  for (const auto& [id, trial] : state.trials) {
    v1::EventBatch batch;
    batch.set_trial_id(id);
    v1::RankEvent& event = *batch.add_events();
    event.set_sequence(1);
    event.set_step(1);
    event.mutable_step_done()->set_loss(2.5);
    ASSERT_TRUE((*curves)->Append(batch, [](uint64_t) {}).ok());
  }
  ASSERT_TRUE((*curves)->Flush().ok());
}

TEST(Backup, IsRestoredWholeInATermFarAbove) {
  const TestFolder folder;
  Fill(folder.path(), 3);
  const auto copy = Backup(folder.path(), folder / "copy");
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(copy->cluster_id, "c1");
  EXPECT_EQ(copy->term, 1U);
  EXPECT_EQ(copy->sweeps, 1);
  EXPECT_EQ(copy->trials, 3);
  const auto restored = Restore(folder / "copy", folder / "new");
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->term, 1 + kRaise);
  const auto store = SqliteStore::Open(folder / "new/state.db", "another");
  ASSERT_TRUE(store.ok()) << store.status();
  const auto state = (*store)->Load();
  EXPECT_EQ(state->cluster_id, "c1");
  EXPECT_EQ(state->term, 2 + kRaise);  // a start raises it by one
  EXPECT_EQ(state->last_epoch, 7U);
  EXPECT_EQ(state->trials.size(), 3U);
  const auto curves = CurveStore::Open(folder / "new/metrics.db", "c1", {});
  ASSERT_TRUE(curves.ok()) << curves.status();
  EXPECT_THAT((*curves)->Read("alpha-2", "loss", 0)->values(), testing::ElementsAre(2.5));
}

// Every commit writes two rows that say the same: a copy of half a commit would tell them apart.
TEST(Backup, TakenBesideAWriterIsOfOneMoment) {
  const TestFolder folder;
  Fill(folder.path(), 2);
  auto store = *SqliteStore::Open(folder / "state.db", "c1");
  std::atomic<bool> stop = false;
  std::atomic<int> commits = 0;
  std::thread writer([&] {
    state::State state;
    control::Changes changes;
    changes.trials = {"alpha-0", "alpha-1"};
    for (int i = 0; !stop; ++i) {
      for (const std::string& id : changes.trials) {
        state.trials[id].set_id(id);
        state.trials[id].set_reason(std::string(20'000, 'x') + std::to_string(i));
      }
      EXPECT_TRUE(store->Commit(state, changes).ok());
      ++commits;
    }
  });
  for (int i = 0; i < 5; ++i) {
    const int before = commits;
    while (commits == before) std::this_thread::yield();
    const auto to = folder / ("copy" + std::to_string(i));
    EXPECT_TRUE(Backup(folder.path(), to).ok());
    const auto state = *(*SqliteStore::Open(to / "state.db", ""))->Load();
    EXPECT_EQ(state.trials.at("alpha-0").reason(), state.trials.at("alpha-1").reason());
  }
  stop = true;
  writer.join();
}

TEST(Backup, NeverWritesOverAFolderAndNeedsDatabases) {
  const TestFolder folder;
  EXPECT_EQ(Backup(folder.path(), folder / "copy").status().code(), absl::StatusCode::kNotFound);
  Fill(folder.path(), 1);
  std::filesystem::create_directory(folder / "copy");
  EXPECT_EQ(Backup(folder.path(), folder / "copy").status().code(), absl::StatusCode::kAlreadyExists);
}

TEST(Backup, OneThatWasKilledIsInNobodysWay) {
  const TestFolder folder;
  Fill(folder.path(), 1);
  std::filesystem::create_directory(folder / "copy.unfinished");
  folder.Write("copy.unfinished/state.db", "half a copy");
  EXPECT_TRUE(Backup(folder.path(), folder / "copy").ok());
  EXPECT_FALSE(std::filesystem::exists(folder / "copy.unfinished"));
}

TEST(Restore, OnlyIntoAFolderWithoutDatabasesAndCoordinator) {
  const TestFolder folder;
  Fill(folder.path(), 1);
  ASSERT_TRUE(Backup(folder.path(), folder / "copy").ok());
  EXPECT_EQ(Restore(folder / "copy", folder.path()).status().code(), absl::StatusCode::kFailedPrecondition);
  const auto lock = TakeStateFolder(folder / "taken");
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(Restore(folder / "copy", folder / "taken").status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Restore(folder / "nothing", folder / "new").status().code(), absl::StatusCode::kNotFound);
}

TEST(Restore, OfADamagedCopyLeavesTheFolderEmptyOfDatabases) {
  const TestFolder folder;
  Fill(folder.path(), 300);
  ASSERT_TRUE(Backup(folder.path(), folder / "copy").ok());
  std::fstream file(folder / "copy/state.db", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);
  file << std::string(4096, 'x');
  file.close();
  EXPECT_EQ(Restore(folder / "copy", folder / "new").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(std::filesystem::exists(folder / "new/state.db"));
}

TEST(Restore, OfANewerReleaseIsRefused) {
  const TestFolder folder;
  Fill(folder.path(), 1);
  ASSERT_TRUE(Backup(folder.path(), folder / "copy").ok());
  SQLite::Database((folder / "copy/state.db").string(), SQLite::OPEN_READWRITE)
      .exec("PRAGMA user_version = 99");
  const auto restored = Restore(folder / "copy", folder / "new");
  EXPECT_EQ(restored.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(restored.status().message()), HasSubstr("written by a newer release"));
  EXPECT_FALSE(std::filesystem::exists(folder / "new/state.db"));
}

}  // namespace
}  // namespace mixln::coordinator::store
