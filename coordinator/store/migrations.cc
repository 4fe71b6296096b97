#include "coordinator/store/migrations.h"

#include "absl/strings/str_cat.h"
#include "coordinator/store/state_folder.h"

namespace mixln::coordinator::store {

const Migrations& StateMigrations() {
  static const Migrations migrations{
      .database = kStateFile,
      .steps = {
          // 1: one row an object. `object` is its serialized message; the other columns are for people who
          // look.
          R"(CREATE TABLE cluster (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
                 CREATE TABLE sweeps (id TEXT PRIMARY KEY, uid TEXT NOT NULL, object BLOB NOT NULL);
                 CREATE TABLE trials (id TEXT PRIMARY KEY, sweep_id TEXT NOT NULL, state TEXT NOT NULL,
                                      object BLOB NOT NULL);
                 CREATE INDEX trials_by_sweep ON trials (sweep_id);
                 CREATE TABLE workers (id TEXT PRIMARY KEY, hostname TEXT NOT NULL, object BLOB NOT NULL);)",
          // 2: folders of deleted sweeps that a worker is not sure to know of.
          R"(CREATE TABLE deletions (worker TEXT NOT NULL, path TEXT NOT NULL,
                                     PRIMARY KEY (worker, path)) WITHOUT ROWID;)",
      }};
  return migrations;
}

const Migrations& CurveMigrations() {
  static const Migrations migrations{
      .database = kCurvesFile,
      .steps = {
          // 1: names are kept once. A NaN is stored as NULL. A cursor is the last event stored of a rank's
          // attempt.
          R"(CREATE TABLE trials (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
                 CREATE TABLE metrics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
                 CREATE TABLE points (trial INTEGER NOT NULL, metric INTEGER NOT NULL, step INTEGER NOT NULL, value REAL,
                                      PRIMARY KEY (trial, metric, step)) WITHOUT ROWID;
                 CREATE TABLE cursors (trial INTEGER NOT NULL, term INTEGER NOT NULL, epoch INTEGER NOT NULL,
                                       rank INTEGER NOT NULL, sequence INTEGER NOT NULL,
                                       PRIMARY KEY (trial, term, epoch, rank)) WITHOUT ROWID;)",
          // 2: whose curves they are, so that they are never taken for another cluster's.
          "CREATE TABLE cluster (id TEXT NOT NULL)",
      }};
  return migrations;
}

absl::Status Migrate(SQLite::Database& database, const Migrations& migrations) {
  const int newest = static_cast<int>(migrations.steps.size());
  const int version = database.execAndGet("PRAGMA user_version").getInt();
  if (version > newest)
    return absl::FailedPreconditionError(absl::StrCat(
        migrations.database, " has schema version ", version, ", and this release knows versions up to ",
        newest, " only: it was written by a newer release; run that one, or restore a backup"));
  if (version == newest) return absl::OkStatus();
  SQLite::Transaction transaction(database);
  for (int step = version; step < newest; ++step) database.exec(migrations.steps[static_cast<size_t>(step)]);
  database.exec("PRAGMA user_version = " + std::to_string(newest));
  transaction.commit();
  return absl::OkStatus();
}

}  // namespace mixln::coordinator::store
