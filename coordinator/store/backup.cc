#include "coordinator/store/backup.h"

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/SQLiteCpp.h>

#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/failpoint/failpoint.h"
#include "base/file/durable.h"
#include "coordinator/store/migrations.h"
#include "coordinator/store/sqlite.h"
#include "coordinator/store/state_folder.h"

namespace mixln::coordinator::store {
namespace {

namespace fs = std::filesystem;

constexpr char kUnfinished[] = ".unfinished";
constexpr uint64_t kRestoreRaises = uint64_t{1} << 32;  // the term

// Copies one database as it is at one moment: a single step reads in a single transaction, beside a writer.
absl::Status CopyDatabase(const fs::path& from, const fs::path& to) {
  auto source = OpenForReading(from);
  if (!source.ok()) return source.status();
  try {
    HitFailpoint("coordinator.copy", to.string());
    SQLite::Database copy(to.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    {
      SQLite::Backup backup(copy, **source);
      backup.executeStep(-1);
    }
    // One file without a log beside it, whatever the source has.
    copy.exec("PRAGMA journal_mode=DELETE");
    return CheckIntegrity(copy, to);
  } catch (const SQLite::Exception& error) {
    return ToStatus(error, to);
  }
}

int64_t Count(SQLite::Database& database, const std::string& table) {
  return database.execAndGet(absl::StrCat("SELECT count(*) FROM ", table)).getInt64();
}

std::string ClusterValue(SQLite::Database& database, const std::string& key) {
  SQLite::Statement query(database, "SELECT value FROM cluster WHERE key = ?");
  query.bind(1, key);
  return query.executeStep() ? query.getColumn(0).getString() : "";
}

absl::StatusOr<Copy> ReadCopy(SQLite::Database& database, const fs::path& path) {
  Copy copy{.cluster_id = ClusterValue(database, "cluster_id"),
            .sweeps = Count(database, "sweeps"),
            .trials = Count(database, "trials")};
  if (copy.cluster_id.empty() || !absl::SimpleAtoi(ClusterValue(database, "term"), &copy.term))
    return absl::DataLossError(absl::StrCat(path.string(), " names no cluster and term"));
  return copy;
}

absl::StatusOr<Copy> ReadCopy(const fs::path& path) {
  auto database = OpenForReading(path);
  if (!database.ok()) return database.status();
  try {
    return ReadCopy(**database, path);
  } catch (const SQLite::Exception& error) {
    return ToStatus(error, path);
  }
}

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

absl::Status Rename(const fs::path& from, const fs::path& to) {
  std::error_code error(base::failpoint::Hit("coordinator.rename copy", to.string()),
                        std::generic_category());
  if (!error) fs::rename(from, to, error);
  if (error)
    return base::ErrnoStatus(error.value(),
                             absl::StrCat("cannot rename ", from.string(), " to ", to.string()));
  return base::SyncFolder(fs::absolute(to).parent_path());
}

// Brings the schema up to date, and raises the term.
absl::StatusOr<Copy> MakeNewTerm(const fs::path& path) {
  auto database = OpenDatabase(path, StateMigrations());
  if (!database.ok()) return database.status();
  try {
    auto copy = ReadCopy(**database, path);
    if (!copy.ok()) return copy;
    copy->term += kRestoreRaises;
    SQLite::Statement raise(**database, "UPDATE cluster SET value = ? WHERE key = 'term'");
    raise.bind(1, std::to_string(copy->term));
    raise.exec();
    (*database)->exec("PRAGMA journal_mode=DELETE");  // into the one file that is renamed
    return copy;
  } catch (const SQLite::Exception& error) {
    return ToStatus(error, path);
  }
}

}  // namespace

absl::StatusOr<Copy> Backup(const fs::path& state_folder, const fs::path& to) {
  for (const char* name : {kStateFile, kCurvesFile}) {
    if (!Exists(state_folder / name))
      return absl::NotFoundError(absl::StrCat(state_folder.string(), " has no ", name,
                                              ": name a coordinator's state folder with --state-dir"));
  }
  if (Exists(to))
    return absl::AlreadyExistsError(absl::StrCat(to.string(), " is there already: name a new folder"));
  const fs::path unfinished = to.string() + kUnfinished;
  std::error_code ignored;
  fs::remove_all(unfinished, ignored);  // of a backup that was killed
  if (auto made = base::MakeFolders(unfinished); !made.ok()) return made;
  const auto copy = [&]() -> absl::Status {
    // A trial's end is committed after its curve: curves that are copied later lack nothing.
    for (const char* name : {kStateFile, kCurvesFile}) {
      if (auto copied = CopyDatabase(state_folder / name, unfinished / name); !copied.ok()) return copied;
    }
    if (auto synced = base::SyncFolder(unfinished); !synced.ok()) return synced;
    return Rename(unfinished, to);
  };
  if (auto copied = copy(); !copied.ok()) {
    fs::remove_all(unfinished, ignored);
    return copied;
  }
  return ReadCopy(to / kStateFile);
}

absl::StatusOr<Copy> Restore(const fs::path& from, const fs::path& state_folder) {
  for (const char* name : {kStateFile, kCurvesFile}) {
    if (!Exists(from / name))
      return absl::NotFoundError(absl::StrCat(from.string(), " has no ", name, ": it is no whole backup"));
  }
  auto lock = TakeStateFolder(state_folder);
  if (!lock.ok()) return lock.status();
  for (const char* name : {kStateFile, kCurvesFile}) {
    if (Exists(state_folder / name))
      return absl::FailedPreconditionError(
          absl::StrCat(state_folder.string(), " has a ", name,
                       " already: move it and its -wal and -shm files away first, or name another folder"));
  }
  const auto unfinished = [&](const char* name) { return state_folder / absl::StrCat(name, kUnfinished); };
  std::error_code ignored;
  for (const char* name : {kStateFile, kCurvesFile}) {
    fs::remove(unfinished(name), ignored);  // of a restore that was killed
    if (auto copied = CopyDatabase(from / name, unfinished(name)); !copied.ok()) return copied;
  }
  auto copy = MakeNewTerm(unfinished(kStateFile));
  if (!copy.ok()) return copy;
  // The state last: with it the folder is whole.
  for (const char* name : {kCurvesFile, kStateFile}) {
    if (auto renamed = Rename(unfinished(name), state_folder / name); !renamed.ok()) return renamed;
  }
  return copy;
}

}  // namespace mixln::coordinator::store
