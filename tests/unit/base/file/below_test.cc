#include "base/file/below.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace mixln::base {
namespace {

namespace fs = std::filesystem;

class BelowTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "mixln-below-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    for (const char* made : {"data/deep", "database", "secret"}) fs::create_directories(folder_ / made);
    for (const char* file : {"data/deep/a.txt", "database/b.txt", "secret/key"})
      std::ofstream(folder_ / file) << "x";
  }
  void TearDown() override { fs::remove_all(folder_); }
  bool MayRead(const fs::path& path) { return CheckBelow(path, {folder_ / "data"}).ok(); }

  fs::path folder_;
};

TEST_F(BelowTest, IsWhatLiesInARootOrWillLieThere) {
  EXPECT_TRUE(MayRead(folder_ / "data/deep/a.txt"));
  EXPECT_TRUE(MayRead(folder_ / "data"));
  EXPECT_TRUE(MayRead(folder_ / "data/deep/../deep/a.txt"));
  EXPECT_TRUE(MayRead(folder_ / "data/not/there/yet"));
  EXPECT_TRUE(CheckBelow(folder_ / "secret/key", {}).ok());
  EXPECT_TRUE(CheckBelow(folder_ / "secret/key", {folder_ / "data", folder_ / "secret"}).ok());
}

TEST_F(BelowTest, IsNotWhatLiesElsewhereHoweverItIsWritten) {
  EXPECT_FALSE(MayRead(folder_ / "secret/key"));
  EXPECT_FALSE(MayRead(folder_ / "database/b.txt"));  // begins like the root
  EXPECT_FALSE(MayRead(folder_ / "data/../secret/key"));
  EXPECT_FALSE(MayRead(folder_ / "data/deep/../../secret/key"));
  EXPECT_FALSE(MayRead("/etc/passwd"));
  EXPECT_FALSE(MayRead(""));
  EXPECT_FALSE(MayRead("~/.ssh/id_rsa"));
}

TEST_F(BelowTest, IsNotWhereALinkLeadsOutside) {
  fs::create_symlink(folder_ / "secret/key", folder_ / "data/link");
  fs::create_directory_symlink(folder_ / "secret", folder_ / "data/folder");
  fs::create_symlink("deep/a.txt", folder_ / "data/inside");
  EXPECT_FALSE(MayRead(folder_ / "data/link"));
  EXPECT_FALSE(MayRead(folder_ / "data/folder/key"));
  EXPECT_TRUE(MayRead(folder_ / "data/inside"));
}

TEST_F(BelowTest, SaysWhatMayBeRead) {
  EXPECT_THAT(
      std::string(CheckBelow("/etc/passwd", {folder_ / "data"}).message()),
      testing::AllOf(testing::HasSubstr("/etc/passwd"), testing::HasSubstr((folder_ / "data").string())));
}

}  // namespace
}  // namespace mixln::base
