#include "coordinator/store/sqlite.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "test_folder.h"

namespace mixln::coordinator::store {
namespace {

// SQLite's own bound on a database's pages stands for the end of the disk: both end as SQLITE_FULL.
TEST(Sqlite, AFullDiskIsResourceExhausted) {
  const TestFolder folder;
  const auto database = OpenDatabase(folder / "metrics.db", CurveMigrations());
  ASSERT_TRUE(database.ok()) << database.status();
  (*database)->exec("PRAGMA max_page_count = 1");
  try {
    (*database)->exec("INSERT INTO metrics (name) VALUES (hex(randomblob(100000)))");
    FAIL() << "the insert found room";
  } catch (const SQLite::Exception& error) {
    const auto status = ToStatus(error, "metrics.db");
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_NE(std::string(status.message()).find("state is full"), std::string::npos);
  }
}

TEST(Sqlite, AFailingDiskIsDataLoss) {
  EXPECT_EQ(ToStatus(SQLite::Exception("disk I/O error", SQLITE_IOERR), "state.db").code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace mixln::coordinator::store
