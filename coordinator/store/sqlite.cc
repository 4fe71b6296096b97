#include "coordinator/store/sqlite.h"

#include <sqlite3.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/failpoint/failpoint.h"

namespace mixln::coordinator::store {
namespace {

constexpr int kBusyMilliseconds = 5000;

absl::Status Damaged(const std::string& what) {
  return absl::DataLossError(
      absl::StrCat("the database is damaged: ", what,
                   "; move the state folder away and put the newest backup in its place "
                   "with `mixln-coordinator restore` (docs/backup.md)"));
}

}  // namespace

void HitFailpoint(std::string_view point, std::string_view detail) {
  const int failure = base::failpoint::Hit(point, detail);
  if (failure != 0)
    throw SQLite::Exception(absl::StrCat("the fail-point ", std::string(point)),
                            failure == ENOSPC ? SQLITE_FULL : SQLITE_IOERR);
}

absl::Status ToStatus(const SQLite::Exception& error, const std::filesystem::path& path) {
  const std::string what = absl::StrCat(path.string(), ": ", error.what());
  absl::Status full = absl::ResourceExhaustedError(
      absl::StrCat("the disk that holds the coordinator's state is full, nothing new can be recorded (", what,
                   "): free some space on it"));
  // The log's index could not grow.
  if (error.getExtendedErrorCode() == SQLITE_IOERR_SHMSIZE) return full;
  switch (error.getErrorCode()) {
    case SQLITE_FULL: return full;
    case SQLITE_IOERR: return absl::DataLossError(absl::StrCat("the disk fails: ", what));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Damaged(what);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM: return absl::PermissionDeniedError(absl::StrCat("cannot write ", what));
    default: return absl::InternalError(what);
  }
}

absl::StatusOr<std::unique_ptr<SQLite::Database>> OpenDatabase(const std::filesystem::path& path,
                                                               const Migrations& migrations) {
  try {
    auto database = std::make_unique<SQLite::Database>(
        path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyMilliseconds);
    database->exec("PRAGMA journal_mode=WAL");
    database->exec("PRAGMA synchronous=FULL");
    if (const auto status = Migrate(*database, migrations); !status.ok()) return status;
    return database;
  } catch (const SQLite::Exception& error) {
    return ToStatus(error, path);
  }
}

absl::Status CheckIntegrity(SQLite::Database& database, const std::filesystem::path& path) {
  try {
    const std::string found = database.execAndGet("PRAGMA quick_check(1)").getString();
    return found == "ok" ? absl::OkStatus() : Damaged(absl::StrCat(path.string(), ": ", found));
  } catch (const SQLite::Exception& error) {
    return ToStatus(error, path);
  }
}

absl::StatusOr<std::unique_ptr<SQLite::Database>> OpenForReading(const std::filesystem::path& path) {
  try {
    return std::make_unique<SQLite::Database>(path.string(), SQLite::OPEN_READONLY, kBusyMilliseconds);
  } catch (const SQLite::Exception& error) {
    return ToStatus(error, path);
  }
}

}  // namespace mixln::coordinator::store
