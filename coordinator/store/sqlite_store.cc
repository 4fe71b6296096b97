#include "coordinator/store/sqlite_store.h"

#include <sqlite3.h>

#include <cstdint>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/failpoint/failpoint.h"
#include "coordinator/store/sqlite.h"

namespace mixln::coordinator::store {
namespace {

constexpr char kClusterId[] = "cluster_id";
constexpr char kTerm[] = "term";
constexpr char kLastEpoch[] = "last_epoch";

// A write-ahead log of its usual size (4 MiB), and as much for the curves', may still grow.
constexpr uintmax_t kWantedBytes = 8 << 20;

// Numbers are kept as text: SQLite's integers are signed.
uint64_t ReadNumber(SQLite::Database& database, const char* key) {
  SQLite::Statement query(database, "SELECT value FROM cluster WHERE key = ?");
  query.bind(1, key);
  uint64_t number = 0;
  if (query.executeStep() && !absl::SimpleAtoi(query.getColumn(0).getString(), &number))
    throw SQLite::Exception(std::string(key) + " is not a number", SQLITE_CORRUPT);
  return number;
}

void WriteText(SQLite::Database& database, const char* key, const std::string& value) {
  SQLite::Statement statement(database, "INSERT OR REPLACE INTO cluster (key, value) VALUES (?, ?)");
  statement.bind(1, key);
  statement.bind(2, value);
  statement.exec();
}

// Calls `add(id, bytes)` for each row; a row that no longer parses is damage.
template <typename Message>
absl::Status ReadRows(SQLite::Database& database, const std::string& table, const auto& add) {
  SQLite::Statement query(database, "SELECT id, object FROM " + table);
  while (query.executeStep()) {
    const std::string id = query.getColumn(0).getString();
    const auto object = query.getColumn(1);
    Message message;
    if (!message.ParseFromArray(object.getBlob(), object.getBytes()))
      return absl::DataLossError(absl::StrCat("row ", id, " of table ", table, " in state.db is damaged"));
    add(id, std::move(message));
  }
  return absl::OkStatus();
}

// Writes or deletes the rows named by `ids`. `insert` has the parameters id, the columns that `bind` binds,
// object.
void WriteRows(SQLite::Database& database, const std::string& table, const std::string& insert,
               const std::set<std::string>& ids, const auto& records, const auto& bind) {
  if (ids.empty()) return;
  SQLite::Statement put(database, insert);
  SQLite::Statement erase(database, "DELETE FROM " + table + " WHERE id = ?");
  for (const std::string& id : ids) {
    const auto found = records.find(id);
    SQLite::Statement& statement = found == records.end() ? erase : put;
    statement.bind(1, id);
    std::string bytes;
    if (found != records.end()) {
      bytes = bind(statement, found->second).SerializeAsString();
      statement.bind(statement.getBindParameterCount(), bytes.data(), static_cast<int>(bytes.size()));
    }
    statement.exec();
    statement.reset();
  }
}

// Those with rows that change, by name.
std::string TablesOf(const control::Changes& changes) {
  return absl::StrCat(changes.sweeps.empty() ? "" : "sweeps ", changes.trials.empty() ? "" : "trials ",
                      changes.workers.empty() ? "" : "workers ", changes.epoch ? "cluster" : "");
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::filesystem::path& path,
                                                               const std::string& new_cluster_id) {
  auto database = OpenDatabase(path, StateMigrations());
  if (!database.ok()) return database.status();
  if (auto whole = CheckIntegrity(**database, path); !whole.ok()) return whole;
  try {
    SQLite::Transaction transaction(**database);
    const uint64_t term = ReadNumber(**database, kTerm);
    if (term == 0) WriteText(**database, kClusterId, new_cluster_id);
    WriteText(**database, kTerm, std::to_string(term + 1));
    HitFailpoint("coordinator.start", path.string());
    transaction.commit();
  } catch (const SQLite::Exception& error) {
    return ToStatus(error, path);
  }
  return std::unique_ptr<SqliteStore>(new SqliteStore(path, std::move(*database)));
}

absl::StatusOr<state::State> SqliteStore::Load() {
  try {
    state::State state;
    SQLite::Statement cluster(*database_, "SELECT value FROM cluster WHERE key = ?");
    cluster.bind(1, kClusterId);
    if (!cluster.executeStep()) return absl::DataLossError(path_.string() + " has no cluster id");
    state.cluster_id = cluster.getColumn(0).getString();
    state.term = ReadNumber(*database_, kTerm);
    state.last_epoch = ReadNumber(*database_, kLastEpoch);
    absl::Status status = ReadRows<v1::Sweep>(
        *database_, "sweeps",
        [&](const std::string& id, v1::Sweep sweep) { state.sweeps[id] = std::move(sweep); });
    if (!status.ok()) return status;
    status = ReadRows<v1::Trial>(*database_, "trials", [&](const std::string& id, v1::Trial trial) {
      state.trials[id] = std::move(trial);
    });
    if (!status.ok()) return status;
    status = ReadRows<v1::Worker>(*database_, "workers", [&](const std::string& id, v1::Worker worker) {
      state.workers[id].worker = std::move(worker);
    });
    if (!status.ok()) return status;
    return state;
  } catch (const SQLite::Exception& error) {
    return ToStatus(error, path_);
  }
}

absl::Status SqliteStore::CheckRoom() const {
  const std::filesystem::path folder = path_.parent_path();
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  if (error || space.available >= kWantedBytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the disk that holds the coordinator's state, ", folder.string(), ", has only ", space.available >> 10,
      " KiB left, and nothing new is begun below ", kWantedBytes >> 20, " MiB: free some space on it"));
}

absl::Status SqliteStore::Commit(const state::State& state, const control::Changes& changes) {
  if (changes.empty()) return absl::OkStatus();
  try {
    SQLite::Transaction transaction(*database_);
    WriteRows(*database_, "sweeps", "INSERT OR REPLACE INTO sweeps (id, uid, object) VALUES (?, ?, ?)",
              changes.sweeps, state.sweeps,
              [](SQLite::Statement& statement, const v1::Sweep& sweep) -> const v1::Sweep& {
                statement.bind(2, sweep.uid());
                return sweep;
              });
    WriteRows(*database_, "trials",
              "INSERT OR REPLACE INTO trials (id, sweep_id, state, object) VALUES (?, ?, ?, ?)",
              changes.trials, state.trials,
              [](SQLite::Statement& statement, const v1::Trial& trial) -> const v1::Trial& {
                statement.bind(2, trial.sweep_id());
                statement.bind(3, v1::TrialState_Name(trial.state()));
                return trial;
              });
    WriteRows(*database_, "workers", "INSERT OR REPLACE INTO workers (id, hostname, object) VALUES (?, ?, ?)",
              changes.workers, state.workers,
              [](SQLite::Statement& statement, const state::WorkerRecord& record) -> const v1::Worker& {
                statement.bind(2, record.worker.hostname());
                return record.worker;
              });
    if (changes.epoch) WriteText(*database_, kLastEpoch, std::to_string(state.last_epoch));
    const std::string tables = TablesOf(changes);
    HitFailpoint("coordinator.commit", tables);
    transaction.commit();
    base::failpoint::Hit("coordinator.committed", tables);
    return absl::OkStatus();
  } catch (const SQLite::Exception& error) {
    return ToStatus(error, path_);
  }
}

}  // namespace mixln::coordinator::store
