#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "agent_host.h"
#include "base/clock/clock.h"
#include "base/file/durable.h"
#include "worker/agent/process.h"

namespace mixln::worker::agent {
namespace {

constexpr pulse::HangLimits kShort{.start = base::Seconds(0.2), .step = base::Seconds(0.1)};

TEST(AgentHang, ARankThatNeverComesAsFarAsItsPulseIsNamed) {
  TemporaryFolder folder;
  AgentOptions options = MakeAgentOptions(folder.path());
  options.hang = kShort;
  options.trainer = folder / "trainer";
  std::ofstream(options.trainer) << "#!/bin/sh\nexec sleep 1000\n";
  chmod(options.trainer.c_str(), 0755);
  HostedAgent host(std::move(options));
  ASSERT_TRUE(host.Run(MakeReserve(3)));
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->end.cause, v1::FAILURE_CAUSE_HANG);
  EXPECT_THAT(
      ended->end.message,
      testing::MatchesRegex("rank 0 on .* hangs: no sign of life for [0-9]+ s while starting, limit .*"));
}

TEST(AgentHang, ARankThatItsShimHasNotLetGoDoesNotHang) {
  TemporaryFolder folder;
  AgentOptions options = MakeAgentOptions(folder.path());
  options.hang = {.start = base::Seconds(20), .step = base::Seconds(1)};
  HostedAgent host(std::move(options));
  setenv("MIXLN_FAILPOINTS", "shim.forked:1=stop", 1);
  const bool runs = host.Run(MakeReserve(3));
  unsetenv("MIXLN_FAILPOINTS");
  ASSERT_TRUE(runs);
  pid_t shim = 0;
  ASSERT_TRUE(Eventually([&] {
    for (const pid_t child : Children()) {
      const auto stat = base::ReadFile(absl::StrCat("/proc/", child, "/stat"));
      if (stat.ok() && stat->find(") T ") != std::string::npos) shim = child;
    }
    return shim != 0;
  }));
  base::Time now = base::ReadClock().steady;
  for (int look = 0; look < 10; ++look, now = now + base::Seconds(5)) host.agent().Poll(now);
  kill(shim, SIGCONT);
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->end.outcome, v1::ATTEMPT_OUTCOME_FINISHED) << ended->end.message;
}

}  // namespace
}  // namespace mixln::worker::agent
