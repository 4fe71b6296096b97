#include "base/file/lock_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

namespace mixln::base {
namespace {

class Locking : public testing::Test {
 protected:
  ~Locking() override { std::filesystem::remove(path_); }

  const std::filesystem::path path_ =
      std::filesystem::path(testing::TempDir()) / ("lock." + std::to_string(getpid()));
};

TEST_F(Locking, TheSecondHolderIsRefusedAndToldWhy) {
  const auto first = LockFile::TryLock(path_);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(LockFile::TryLock(path_).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(LockFile::IsHeld(path_));
}

TEST_F(Locking, ALockEndsWithItsObject) {
  { const auto held = LockFile::TryLock(path_); }
  EXPECT_FALSE(LockFile::IsHeld(path_));
  EXPECT_TRUE(LockFile::TryLock(path_).ok());
}

TEST_F(Locking, ALockEndsWithItsProcessHoweverItDies) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto held = LockFile::TryLock(path_);
    (void)!write(ready[1], "x", 1);
    pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_TRUE(LockFile::IsHeld(path_));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(LockFile::IsHeld(path_));
}

TEST_F(Locking, WhoWaitsSaysSoUntilTheLockIsFree) {
  std::optional<LockFile> held = *LockFile::TryLock(path_);
  int waited = 0;
  const auto lock = LockFile::Lock(path_, [&] {
    if (++waited == 2) held.reset();
  });
  EXPECT_TRUE(lock.ok()) << lock.status();
  EXPECT_EQ(waited, 2);
  EXPECT_TRUE(LockFile::IsHeld(path_));
}

TEST_F(Locking, AFileThatIsNotThereIsNotHeld) {
  EXPECT_FALSE(LockFile::IsHeld(path_));
}

}  // namespace
}  // namespace mixln::base
