#include "worker/pulse/pulse.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

namespace mixln::worker::pulse {
namespace {

class PulseTest : public testing::Test {
 protected:
  ~PulseTest() override { std::filesystem::remove(file_); }

  const std::filesystem::path file_ =
      std::filesystem::path(testing::TempDir()) / ("pulse." + std::to_string(getpid()));
};

TEST_F(PulseTest, OneThatIsMadeIsOfARankThatStarts) {
  EXPECT_FALSE(Read(file_));
  ASSERT_TRUE(Make(file_));
  EXPECT_EQ(Read(file_), Reading{});
}

TEST_F(PulseTest, ARankTakesOverTheOneThatWasMade) {
  ASSERT_TRUE(Make(file_));
  ASSERT_TRUE(Open(file_));
  Enter(Phase::kTraining, 7);
  EXPECT_EQ(Read(file_)->step, 7);
}

TEST_F(PulseTest, OneOfAnEarlierProcessIsMadeAnew) {
  ASSERT_TRUE(Open(file_));
  Enter(Phase::kTraining, 7);
  ASSERT_TRUE(Make(file_));
  EXPECT_EQ(Read(file_), Reading{});
}

TEST_F(PulseTest, AFileThatCannotBeMadeSetsErrno) {
  EXPECT_FALSE(Make("/dev/full/pulse"));
  EXPECT_EQ(errno, ENOTDIR);
}

}  // namespace
}  // namespace mixln::worker::pulse
