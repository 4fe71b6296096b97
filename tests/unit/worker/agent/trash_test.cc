#include "worker/agent/trash.h"

#include <gtest/gtest.h>

#include <fstream>

#include "agent_host.h"
#include "worker/agent/artifacts.h"

namespace mixln::worker::agent {
namespace {

namespace fs = std::filesystem;

class TrashTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* step : {"step-5/deep/er", "step-10"}) {
      fs::create_directories(folder_ / "trials/a/checkpoints" / step);
      std::ofstream(folder_ / "trials/a/checkpoints" / step / "rank-0.safetensors") << "weights";
    }
  }
  void Delete(const std::string& path, const std::string& name) {
    ASSERT_TRUE(DeleteArtifact(folder_.path(), path, name).ok());
  }
  bool IsEmpty() const { return fs::is_empty(TrashFolder(folder_.path())); }

  TemporaryFolder folder_;
};

TEST_F(TrashTest, IsEmptiedAndNothingElseIs) {
  TrashCollector trash(folder_.path(), "w-");
  Delete("trials/a/checkpoints/step-5", "w-1");
  trash.Collect();
  EXPECT_TRUE(Eventually([&] { return IsEmpty(); }));
  EXPECT_TRUE(fs::exists(folder_ / "trials/a/checkpoints/step-10/rank-0.safetensors"));
  Delete("trials/a", "w-2");
  trash.Collect();
  EXPECT_TRUE(Eventually([&] { return IsEmpty(); }));
}

TEST_F(TrashTest, WhatAnEarlierDaemonLeftGoesToo) {
  Delete("trials/a", "of-another-worker-1");
  EXPECT_FALSE(IsEmpty());
  TrashCollector trash(folder_.path(), "w-");
  trash.Collect();
  EXPECT_TRUE(Eventually([&] { return IsEmpty(); }));
}

TEST_F(TrashTest, WhatAnotherWorkerDeletesLaterIsItsOwnToRemove) {
  TrashCollector trash(folder_.path(), "w-");
  Delete("trials/a/checkpoints/step-5", "w-1");
  trash.Collect();
  EXPECT_TRUE(Eventually([&] { return IsEmpty(); }));
  Delete("trials/a/checkpoints/step-10", "x-1");
  Delete("trials/a", "w-2");
  trash.Collect();
  EXPECT_TRUE(Eventually([&] { return !fs::exists(TrashFolder(folder_.path()) / "w-2"); }));
  EXPECT_TRUE(fs::exists(TrashFolder(folder_.path()) / "x-1"));
}

TEST_F(TrashTest, LinksAreRemovedAndNotFollowed) {
  fs::create_directories(folder_ / "precious");
  fs::create_directory_symlink(folder_ / "precious", folder_ / "trials/a/link");
  std::ofstream(folder_ / "precious/thesis.tex") << "x";
  Delete("trials/a", "w-1");
  TrashCollector trash(folder_.path(), "w-");
  trash.Collect();
  EXPECT_TRUE(Eventually([&] { return IsEmpty(); }));
  EXPECT_TRUE(fs::exists(folder_ / "precious/thesis.tex"));
}

TEST(Trash, ALinkInItsPlaceIsNobodysTrash) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "root/trials/a");
  fs::create_directories(folder / "precious/thesis");
  fs::create_directory_symlink(folder / "precious", TrashFolder(folder / "root"));
  EXPECT_FALSE(DeleteArtifact(folder / "root", "trials/a", "1").ok());
  TrashCollector(folder / "root", "w-").Collect();
  EXPECT_TRUE(fs::exists(folder / "root/trials/a"));
  EXPECT_TRUE(fs::exists(folder / "precious/thesis"));
}

}  // namespace
}  // namespace mixln::worker::agent
