// The coordinator's state in `state.db`: one row an object, one transaction a commit, on disk when Commit
// returns.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>
#include <string>

#include "coordinator/store/store.h"

namespace mixln::coordinator::store {

class SqliteStore : public Store {
 public:
  // Opens or makes `path`, brings its schema up to date, checks that it is whole, and starts a new term.
  // `new_cluster_id` names the cluster if the database is new. The caller holds the folder's lock.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::filesystem::path& path,
                                                           const std::string& new_cluster_id);

  absl::StatusOr<state::State> Load() override;
  absl::Status Commit(const state::State& state, const control::Changes& changes) override;
  absl::Status CheckRoom() const override;

 private:
  SqliteStore(std::filesystem::path path, std::unique_ptr<SQLite::Database> database)
      : path_(std::move(path)), database_(std::move(database)) {}

  std::filesystem::path path_;
  std::unique_ptr<SQLite::Database> database_;
};

}  // namespace mixln::coordinator::store
