#include "base/file/durable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace mixln::base {
namespace {

class Durable : public testing::Test {
 protected:
  Durable() { std::filesystem::create_directories(folder_); }
  ~Durable() override { std::filesystem::remove_all(folder_); }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("durable." + std::to_string(getpid()));
};

TEST_F(Durable, WhatIsWrittenIsReadBackWithItsZeroBytes) {
  const std::string contents("a\0b\n", 4);
  ASSERT_TRUE(WriteFileDurably(folder_ / "file", contents).ok());
  EXPECT_EQ(*ReadFile(folder_ / "file"), contents);
}

TEST_F(Durable, AWriteReplacesTheFileAndLeavesNothingBeside) {
  ASSERT_TRUE(WriteFileDurably(folder_ / "file", "a longer old text").ok());
  ASSERT_TRUE(WriteFileDurably(folder_ / "file", "new").ok());
  EXPECT_EQ(*ReadFile(folder_ / "file"), "new");
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_)) ++entries;
  EXPECT_EQ(entries, 1);
}

TEST_F(Durable, AWriteThatFailsKeepsTheOldFile) {
  ASSERT_TRUE(WriteFileDurably(folder_ / "file", "old").ok());
  std::filesystem::create_directories(folder_ / "file.tmp" / "in the way");
  const absl::Status status = WriteFileDurably(folder_ / "file", "new");
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("file.tmp"));
  EXPECT_EQ(*ReadFile(folder_ / "file"), "old");
}

TEST_F(Durable, AMissingFileIsNotFoundAndNamed) {
  const auto contents = ReadFile(folder_ / "absent");
  EXPECT_EQ(contents.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(contents.status().message()), testing::HasSubstr("absent"));
}

TEST_F(Durable, AFolderBelowAFileIsRefusedWithItsPath) {
  ASSERT_TRUE(WriteFileDurably(folder_ / "file", "x").ok());
  const absl::Status status = MakeFolders(folder_ / "file" / "folder");
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("file/folder"));
}

TEST(DurableDeathTest, KilledBeforeAnyCallOfAWriteTheOldFileIsWhole) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  // The same path in the process that dies, which is started anew.
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "durable-death-test";
  for (const char* call : {"make", "write", "sync", "rename"}) {
    std::ofstream(file) << "old";
    const std::string failpoint = std::string("file.") + call + "@durable-death-test.tmp:1=kill";
    const auto die = [&] {
      setenv("MIXLN_FAILPOINTS", failpoint.c_str(), 1);
      (void)WriteFileDurably(file, "new");
    };
    EXPECT_EXIT(die(), testing::KilledBySignal(SIGKILL), "") << call;
    EXPECT_EQ(*ReadFile(file), "old") << call;
  }
  std::filesystem::remove(file);
  std::filesystem::remove(file.string() + ".tmp");
}

TEST(DurableDeathTest, ACallThatFailsOnPurposeSaysWhatItsErrorSays) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "durable-death-test";
  const auto fail = [&] {
    setenv("MIXLN_FAILPOINTS", "file.sync@durable-death-test:1=ENOSPC", 1);
    fprintf(stderr, "%s", std::string(WriteFileDurably(file, "new").message()).c_str());
    exit(0);
  };
  EXPECT_EXIT(fail(), testing::ExitedWithCode(0), "cannot sync .*durable-death-test.tmp: No space left");
  std::filesystem::remove(file.string() + ".tmp");
}

}  // namespace
}  // namespace mixln::base
