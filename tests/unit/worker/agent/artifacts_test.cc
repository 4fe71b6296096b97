#include "worker/agent/artifacts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "agent_host.h"
#include "worker/agent/trash.h"

namespace mixln::worker::agent {
namespace {

namespace fs = std::filesystem;

TEST(Artifacts, AnEmptyFolderIsClaimedAndKeepsItsCluster) {
  const TemporaryFolder folder;
  EXPECT_TRUE(ClaimArtifacts(folder / "root", "one").ok());
  EXPECT_TRUE(ClaimArtifacts(folder / "root", "one").ok());
  const absl::Status other = ClaimArtifacts(folder / "root", "two");
  EXPECT_TRUE(absl::IsFailedPrecondition(other));
  EXPECT_THAT(std::string(other.message()),
              testing::AllOf(testing::HasSubstr("one"), testing::HasSubstr("two")));
}

TEST(Artifacts, AFolderThatHoldsOtherThingsIsNotClaimed) {
  const TemporaryFolder folder;
  std::ofstream(folder / "thesis.tex") << "x";
  EXPECT_TRUE(absl::IsFailedPrecondition(ClaimArtifacts(folder.path(), "one")));
}

TEST(Artifacts, ADataCacheAloneIsNoOtherThing) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "data/abc");
  EXPECT_TRUE(ClaimArtifacts(folder.path(), "one").ok());
}

TEST(Artifacts, AFolderKeepsTheIdThatItGotFirst) {
  const TemporaryFolder folder;
  EXPECT_EQ(IdentifyArtifacts(folder / "root", "", "first").value(), "first");
  EXPECT_EQ(IdentifyArtifacts(folder / "root", "", "second").value(), "first");
  EXPECT_EQ(IdentifyArtifacts(folder / "other", "", "second").value(), "second");
  EXPECT_TRUE(ClaimArtifacts(folder / "root", "one").ok()) << "its id is no strange thing";
}

TEST(Artifacts, AFolderOfThisClusterWithoutAnIdGetsOneAndAnotherClustersDoesNot) {
  const TemporaryFolder folder;
  ASSERT_TRUE(ClaimArtifacts(folder.path(), "one").ok());
  std::ofstream(folder / "trial") << "x";
  EXPECT_EQ(IdentifyArtifacts(folder.path(), "two", "id").value(), "");
  EXPECT_EQ(IdentifyArtifacts(folder.path(), "one", "id").value(), "id");
}

TEST(Artifacts, NothingIsWrittenIntoSomebodyElsesFolder) {
  const TemporaryFolder folder;
  std::ofstream(folder / "thesis.tex") << "x";
  EXPECT_EQ(IdentifyArtifacts(folder.path(), "", "id").value(), "");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(Artifacts, ARootWithoutItsMarkerIsNotThere) {
  const TemporaryFolder folder;
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckArtifacts(folder.path())));
  ASSERT_TRUE(ClaimArtifacts(folder.path(), "one").ok());
  EXPECT_TRUE(CheckArtifacts(folder.path()).ok());
}

TEST(Artifacts, DeletesWhatItIsToldAndNothingElse) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "trials/a/0");
  fs::create_directories(folder / "trials/b/0");
  EXPECT_TRUE(DeleteArtifact(folder.path(), "trials/a", "1").ok());
  EXPECT_FALSE(fs::exists(folder / "trials/a"));
  EXPECT_TRUE(fs::exists(TrashFolder(folder.path()) / "1/0"));
  EXPECT_TRUE(fs::exists(folder / "trials/b/0"));
  EXPECT_TRUE(DeleteArtifact(folder.path(), "trials/a", "2").ok()) << "again";
  EXPECT_FALSE(fs::exists(TrashFolder(folder.path()) / "2"));
}

// As where there is no room for it, or its owner is another user.
TEST(Artifacts, DeletesInPlaceWhereThereCanBeNoTrash) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "trials/a/0");
  std::ofstream(TrashFolder(folder.path())) << "a file";
  EXPECT_TRUE(DeleteArtifact(folder.path(), "trials/a", "1").ok());
  EXPECT_FALSE(fs::exists(folder / "trials/a"));
}

TEST(Artifacts, NeverDeletesOutsideItsRoot) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "root/trials");
  fs::create_directories(folder / "precious");
  fs::create_directory_symlink(folder / "precious", folder / "root/trials/link");
  for (const std::string path :
       {"../precious", "trials/../../precious", "", ".", "/", "trials/link", "trials/link/x", "trials//"})
    EXPECT_FALSE(DeleteArtifact(folder / "root", path, "1").ok()) << path;
  EXPECT_FALSE(DeleteArtifact(folder / "root", (folder / "precious").string(), "1").ok());
  EXPECT_TRUE(fs::exists(folder / "precious"));
  EXPECT_TRUE(fs::exists(folder / "root/trials"));
}

}  // namespace
}  // namespace mixln::worker::agent
