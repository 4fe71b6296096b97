// The schemas of the coordinator's databases, and how an older one becomes the present one.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace mixln::coordinator::store {

// One database's steps: step i takes schema version i (PRAGMA user_version) to i + 1. A released step never
// changes.
struct Migrations {
  std::string database;  // for messages
  std::vector<const char*> steps;
};

const Migrations& StateMigrations();
const Migrations& CurveMigrations();

// Applies what is missing, in one transaction. FAILED_PRECONDITION when the schema is newer than this release
// knows. Throws SQLite::Exception.
absl::Status Migrate(SQLite::Database& database, const Migrations& migrations);

}  // namespace mixln::coordinator::store
