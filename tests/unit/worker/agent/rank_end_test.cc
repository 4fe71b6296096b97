#include "worker/agent/rank_end.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "worker/agent/rank.h"

namespace mixln::worker::agent {
namespace {

using testing::HasSubstr;

class RankEnd : public testing::Test {
 protected:
  RankEnd() { std::filesystem::create_directories(folder_); }
  ~RankEnd() override { std::filesystem::remove_all(folder_); }

  session::RankEnd After(const std::string& exit) {
    std::ofstream(folder_ / "exit.json") << exit;
    return ReadRankEnd(folder_);
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("rank-end." + std::to_string(getpid()));
};

TEST_F(RankEnd, KilledByAnybodyIsACrash) {
  const session::RankEnd end = After(R"({"signal":9})");
  EXPECT_EQ(end.outcome, v1::ATTEMPT_OUTCOME_FAILED);
  EXPECT_EQ(end.cause, v1::FAILURE_CAUSE_TRAINER_CRASH);
  EXPECT_EQ(end.message, "was killed by signal 9 (SIGKILL)");
}

TEST_F(RankEnd, KilledWhileTheKernelKillsForMemoryIsOutOfMemory) {
  const session::RankEnd end = After(R"({"signal":9,"out_of_memory":true})");
  EXPECT_EQ(end.outcome, v1::ATTEMPT_OUTCOME_FAILED);
  EXPECT_EQ(end.cause, v1::FAILURE_CAUSE_OUT_OF_MEMORY);
  EXPECT_THAT(end.message, HasSubstr("for want of memory"));
}

TEST_F(RankEnd, KilledByTheAgentIsNoFailureOfItsOwnWhateverTheKernelKills) {
  EXPECT_FALSE(After(R"({"signal":9})").killed);
  std::ofstream(folder_ / kKilledFile);
  const session::RankEnd end = After(R"({"signal":9,"out_of_memory":true})");
  EXPECT_TRUE(end.killed);
  EXPECT_EQ(end.cause, v1::FAILURE_CAUSE_TRAINER_CRASH);
  EXPECT_FALSE(After(R"({"signal":11})").killed) << "it was faster";
}

TEST_F(RankEnd, AWordOfItsOwnCountsEvenIfItWasKilledAfterIt) {
  std::ofstream(folder_ / kKilledFile);
  std::ofstream(folder_ / "events.jsonl")
      << R"({"sequence":"1","step":"3","failed":{"cause":"FAILURE_CAUSE_OUT_OF_MEMORY","message":"too large"}})"
      << "\n";
  const session::RankEnd end = After(R"({"signal":9})");
  EXPECT_FALSE(end.killed);
  EXPECT_EQ(end.cause, v1::FAILURE_CAUSE_OUT_OF_MEMORY);
}

TEST_F(RankEnd, WithoutAnExitStatusTheShimWentToo) {
  const session::RankEnd end = ReadRankEnd(folder_);
  EXPECT_EQ(end.cause, v1::FAILURE_CAUSE_TRAINER_CRASH);
  EXPECT_THAT(end.message, HasSubstr("its shim is gone, too"));
}

}  // namespace
}  // namespace mixln::worker::agent
