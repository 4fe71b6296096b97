#include "coordinator/store/sqlite_store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "coordinator/store/memory_store.h"
#include "test_folder.h"

namespace mixln::coordinator::store {
namespace {

using google::protobuf::util::MessageDifferencer;

// A state with one row of each kind.
state::State OneOfEach() {
  state::State state;
  state.last_epoch = 7;
  auto& sweep = state.sweeps["alpha"];
  sweep.set_id("alpha");
  sweep.set_uid("u1");
  auto& trial = state.trials["alpha-0"];
  trial.set_id("alpha-0");
  trial.set_sweep_id("alpha");
  trial.set_state(v1::TRIAL_STATE_RUNNING);
  trial.mutable_spec()->mutable_norm()->set_alpha(0.25);
  trial.add_attempts()->mutable_fence()->set_epoch(7);
  auto& worker = state.workers["w1"].worker;
  worker.set_id("w1");
  worker.set_hostname("host");
  return state;
}

const control::Changes kOneOfEach{
    .sweeps = {"alpha"}, .trials = {"alpha-0"}, .workers = {"w1"}, .epoch = true};

control::Changes TrialOnly() {
  control::Changes changes;
  changes.trials = {"alpha-0"};
  return changes;
}

void ExpectOneOfEach(const state::State& loaded) {
  const state::State wanted = OneOfEach();
  EXPECT_EQ(loaded.last_epoch, 7U);
  ASSERT_EQ(loaded.sweeps.size(), 1U);
  ASSERT_EQ(loaded.trials.size(), 1U);
  ASSERT_EQ(loaded.workers.size(), 1U);
  EXPECT_TRUE(MessageDifferencer::Equals(loaded.sweeps.at("alpha"), wanted.sweeps.at("alpha")));
  EXPECT_TRUE(MessageDifferencer::Equals(loaded.trials.at("alpha-0"), wanted.trials.at("alpha-0")));
  EXPECT_TRUE(MessageDifferencer::Equals(loaded.workers.at("w1").worker, wanted.workers.at("w1").worker));
}

std::unique_ptr<SqliteStore> Open(const std::filesystem::path& path, const std::string& cluster_id = "c1") {
  auto store = SqliteStore::Open(path, cluster_id);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? std::move(*store) : nullptr;
}

TEST(SqliteStore, WhatWasCommittedIsLoaded) {
  const TestFolder folder;
  const auto store = Open(folder / "state.db");
  ASSERT_TRUE(store->Commit(OneOfEach(), kOneOfEach).ok());
  ExpectOneOfEach(*store->Load());
}

TEST(SqliteStore, OnlyTheRowsThatChangedAreWritten) {
  const TestFolder folder;
  const auto store = Open(folder / "state.db");
  ASSERT_TRUE(store->Commit(OneOfEach(), TrialOnly()).ok());
  const auto loaded = *store->Load();
  EXPECT_EQ(loaded.trials.size(), 1U);
  EXPECT_TRUE(loaded.sweeps.empty());
  EXPECT_EQ(loaded.last_epoch, 0U);
}

TEST(SqliteStore, ARowThatIsNoLongerInTheStateIsDeleted) {
  const TestFolder folder;
  const auto store = Open(folder / "state.db");
  auto state = OneOfEach();
  ASSERT_TRUE(store->Commit(state, kOneOfEach).ok());
  state.trials.clear();
  ASSERT_TRUE(store->Commit(state, TrialOnly()).ok());
  EXPECT_TRUE(store->Load()->trials.empty());
}

TEST(SqliteStore, EachStartRaisesTheTermByOneAndKeepsTheCluster) {
  const TestFolder folder;
  for (uint64_t start = 1; start <= 3; ++start) {
    const auto store = Open(folder / "state.db", "cluster" + std::to_string(start));
    EXPECT_EQ(store->Load()->term, start);
    EXPECT_EQ(store->Load()->cluster_id, "cluster1");
  }
}

// The files as a killed process leaves them: the database and its log, never closed.
TEST(SqliteStore, WhatWasCommittedSurvivesACrash) {
  const TestFolder folder;
  const TestFolder after;
  const auto store = Open(folder / "state.db");
  ASSERT_TRUE(store->Commit(OneOfEach(), kOneOfEach).ok());
  for (const char* file : {"state.db", "state.db-wal"})
    std::filesystem::copy_file(folder / file, after / file);
  const auto reopened = Open(after / "state.db");
  ExpectOneOfEach(*reopened->Load());
  EXPECT_EQ(reopened->Load()->term, 2U);
}

TEST(SqliteStore, ADatabaseOfVersionZeroIsBroughtUpToDate) {
  const TestFolder folder;
  {
    SQLite::Database old((folder / "state.db").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    old.exec("PRAGMA user_version = 0");
  }
  const auto store = Open(folder / "state.db");
  EXPECT_TRUE(store->Commit(OneOfEach(), kOneOfEach).ok());
  SQLite::Database now((folder / "state.db").string());
  EXPECT_EQ(now.execAndGet("PRAGMA user_version").getInt(), 2);
}

TEST(SqliteStore, ANewerSchemaIsRefusedInWords) {
  const TestFolder folder;
  {
    SQLite::Database newer((folder / "state.db").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    newer.exec("PRAGMA user_version = 99");
  }
  const auto store = SqliteStore::Open(folder / "state.db", "c1");
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(std::string(store.status().message()).find("schema version 99"), std::string::npos);
}

TEST(SqliteStore, AFileThatIsNoDatabaseIsDamaged) {
  const TestFolder folder;
  folder.Write("state.db", std::string(8192, 'x'));
  EXPECT_EQ(SqliteStore::Open(folder / "state.db", "c1").status().code(), absl::StatusCode::kDataLoss);
}

// A page of rows in the middle; the first one still says that it is a database.
TEST(SqliteStore, ADamagedDatabaseIsFoundAtTheStartAndSaysWhatToDo) {
  const TestFolder folder;
  {
    const auto store = Open(folder / "state.db");
    auto state = OneOfEach();
    control::Changes changes;
    for (int i = 0; i < 300; ++i) {
      const std::string id = "alpha-" + std::to_string(i);
      state.trials[id] = state.trials["alpha-0"];
      changes.trials.insert(id);
    }
    ASSERT_TRUE(store->Commit(state, changes).ok());
  }
  const auto size = std::filesystem::file_size(folder / "state.db");
  std::fstream file(folder / "state.db", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(size / 4096 / 2 * 4096));
  file << std::string(4096, 'x');
  file.close();
  const auto damaged = SqliteStore::Open(folder / "state.db", "c1");
  EXPECT_EQ(damaged.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(std::string(damaged.status().message()).find("mixln-coordinator restore"), std::string::npos)
      << damaged.status();
}

TEST(MemoryStore, LoadsWhatWasCommittedAndNothingElse) {
  MemoryStore store("c1");
  auto state = OneOfEach();
  ASSERT_TRUE(store.Commit(state, kOneOfEach).ok());
  state.trials["alpha-0"].set_state(v1::TRIAL_STATE_FAILED);
  ExpectOneOfEach(*store.Load());
  EXPECT_EQ(store.Load()->term, 1U);
}

}  // namespace
}  // namespace mixln::coordinator::store
