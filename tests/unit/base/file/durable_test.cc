#include "base/file/durable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

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

}  // namespace
}  // namespace mixln::base
