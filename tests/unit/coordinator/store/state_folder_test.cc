#include "coordinator/store/state_folder.h"

#include <gtest/gtest.h>

#include <string>

#include "test_folder.h"

namespace mixln::coordinator::store {
namespace {

TEST(StateFolder, IsMadeWithItsParents) {
  const TestFolder folder;
  EXPECT_TRUE(TakeStateFolder(folder.path() / "a" / "b").ok());
  EXPECT_TRUE(std::filesystem::is_directory(folder.path() / "a" / "b"));
}

TEST(StateFolder, HasOneCoordinatorAtATime) {
  const TestFolder folder;
  {
    const auto first = TakeStateFolder(folder.path());
    ASSERT_TRUE(first.ok());
    const auto second = TakeStateFolder(folder.path());
    EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
    EXPECT_NE(std::string(second.status().message()).find("is used by another coordinator"),
              std::string::npos);
  }
  EXPECT_TRUE(TakeStateFolder(folder.path()).ok());
}

TEST(StateFolder, ThatCannotBeMadeIsExplained) {
  const TestFolder folder;
  folder.Write("file", "");
  const auto lock = TakeStateFolder(folder / "file/state");
  ASSERT_FALSE(lock.ok());
  const std::string message(lock.status().message());
  EXPECT_NE(message.find("file/state"), std::string::npos);
  EXPECT_NE(message.find("--state-dir"), std::string::npos);
}

// Types from statfs(2).
TEST(StateFolder, KnowsNetworkFileSystems) {
  EXPECT_STREQ(NetworkFileSystem(0x6969), "NFS");
  EXPECT_STREQ(NetworkFileSystem(0xFF534D42), "CIFS");
  // Some kernels sign-extend f_type.
  EXPECT_STREQ(NetworkFileSystem(static_cast<int32_t>(0xFE534D42)), "SMB2");
  EXPECT_EQ(NetworkFileSystem(0xEF53), nullptr);      // ext4
  EXPECT_EQ(NetworkFileSystem(0x01021994), nullptr);  // tmpfs
}

}  // namespace
}  // namespace mixln::coordinator::store
