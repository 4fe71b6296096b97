// Opening SQLite databases the way both stores need it, and their errors as statuses.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/migrations.h"

namespace mixln::coordinator::store {

// Opens or makes the database: write-ahead log, every commit fsynced, schema brought up to date.
absl::StatusOr<std::unique_ptr<SQLite::Database>> OpenDatabase(const std::filesystem::path& path,
                                                               const Migrations& migrations);

// A second connection that only reads and sees what is committed.
absl::StatusOr<std::unique_ptr<SQLite::Database>> OpenForReading(const std::filesystem::path& path);

// Reads the whole database and checks that it hangs together, but for its indexes' contents (PRAGMA
// quick_check). DATA_LOSS, saying what to do, when it does not.
absl::Status CheckIntegrity(SQLite::Database& database, const std::filesystem::path& path);

// A fail-point in a transaction: throws what SQLite throws on that error of its disk.
void HitFailpoint(std::string_view point, std::string_view detail);

// RESOURCE_EXHAUSTED: disk full. DATA_LOSS: input or output failed, or the file is damaged. Else INTERNAL.
absl::Status ToStatus(const SQLite::Exception& error, const std::filesystem::path& path);

}  // namespace mixln::coordinator::store
