#include "base/failpoint/failpoint.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace mixln::base::failpoint {
namespace {

using testing::HasSubstr;

TEST(Failpoints, FailAtTheHitThatWasAskedForAndOnlyThere) {
  Failpoints failpoints(Parse("file.write:2=EIO;file.sync@manifest:1=ENOSPC"));
  EXPECT_EQ(failpoints.Hit("file.write", "a"), 0);
  EXPECT_EQ(failpoints.Hit("file.write", "b"), EIO);
  EXPECT_EQ(failpoints.Hit("file.write", "c"), 0);
  EXPECT_EQ(failpoints.Hit("file.sync", "rank-00000.safetensors"), 0);
  EXPECT_EQ(failpoints.Hit("file.sync", "step-1/manifest.json"), ENOSPC);
  EXPECT_EQ(failpoints.Hit("elsewhere", "step-1/manifest.json"), 0);
}

TEST(FailpointsDeathTest, Kill) {
  Failpoints failpoints(Parse("trainer.micro_batch:1=kill"));
  EXPECT_EXIT(failpoints.Hit("trainer.micro_batch", ""), testing::KilledBySignal(SIGKILL), "");
}

TEST(FailpointsDeathTest, AListThatMakesNoSenseEndsTheProcessAtItsFirstHit) {
  const auto hit = [] {
    setenv("MIXLN_FAILPOINTS", "trainer.micro_batsh:1=kill", 1);
    Hit("file.write");
  };
  EXPECT_EXIT(hit(), testing::ExitedWithCode(64), "trainer.micro_batsh.*names no fail-point");
}

TEST(Failpoints, StopTheProcessUntilItIsContinued) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Failpoints failpoints(Parse("trainer.micro_batch:2=stop"));
    failpoints.Hit("trainer.micro_batch", "");
    failpoints.Hit("trainer.micro_batch", "");
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status)) << "it has ended";
  EXPECT_EQ(WSTOPSIG(status), SIGSTOP);
  kill(child, SIGCONT);
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(Failpoints, AskForADetailOnlyWhereThereAreSome) {
  bool asked = false;
  EXPECT_EQ(Hit("file.write", [&] { return asked = true, "detail"; }), 0);
  EXPECT_FALSE(asked) << "this process has none";
}

TEST(Failpoints, SayWhatIsWrongWithTheirList) {
  for (const char* list : {"file.write", "file.write=kill", "file.write:0=kill", "file.write:x=kill",
                           ":1=kill", "file.write:1=explode", "file.wriet:1=kill", "file.writ:1=kill",
                           "file.writes:1=kill", "@manifest:1=EIO"}) {
    try {
      Parse(list);
      ADD_FAILURE() << list << " was accepted";
    } catch (const std::invalid_argument& problem) {
      EXPECT_THAT(problem.what(), HasSubstr(std::string("\"") + list + "\"")) << list;
    }
  }
}

}  // namespace
}  // namespace mixln::base::failpoint
