#include "services/mixlnctl/daemon.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "fake_world.h"

namespace mixln::services::mixlnctl {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// A daemon that is a shell script.
Daemon Script(FakeWorld& world, const std::string& text) {
  const std::string program = world.Write("bin/mixln-worker", "#!/bin/sh\n" + text);
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  std::filesystem::create_directories(world.folder / "run");
  return LocalDaemon(world.folder / "bin", world.folder, "worker");
}

constexpr char kServes[] = R"(printf '{"grpc": "127.0.0.1:5", "metrics": "127.0.0.1:6", "pid": %d}' $$ > "$1"
exec sleep 1000)";

TEST(Daemon, StartsIsRecordedAndStopsOnce) {
  FakeWorld world;
  const Daemon daemon = Script(world, kServes);
  const auto address = StartDaemon(daemon, {daemon.address.string()});
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(address->grpc, "127.0.0.1:5");
  const auto process = RunningProcess(daemon);
  ASSERT_TRUE(process);
  EXPECT_EQ(getsid(process->pid), process->pid);  // a session of its own
  EXPECT_TRUE(StopDaemon(daemon, 10, false).ok());
  EXPECT_FALSE(RunningProcess(daemon));
  EXPECT_FALSE(std::filesystem::exists(daemon.address));
  EXPECT_TRUE(StopDaemon(daemon, 10, false).ok());
}

TEST(Daemon, ThatExitsIsExplainedByItsLastLines) {
  FakeWorld world;
  const Daemon daemon = Script(world, "echo 'port 7410 is in use' >&2; exit 3");
  world.Write("run/worker.log", "an older line\n");
  const auto address = StartDaemon(daemon, {});
  EXPECT_THAT(std::string(address.status().message()),
              AllOf(HasSubstr("mixln-worker exited with code 3"), HasSubstr("  port 7410 is in use"),
                    testing::Not(HasSubstr("an older line"))));
  EXPECT_FALSE(RunningProcess(daemon));
}

TEST(Daemon, OfAReusedPidIsLeftAlone) {
  FakeWorld world;
  const Daemon daemon = Script(world, "");
  // This very process, with another start time: as if its pid had been the daemon's once.
  world.Write("run/worker.process",
              R"({"pid": )" + std::to_string(getpid()) + R"(, "start_time": 1, "boot_id": "x"})");
  EXPECT_FALSE(RunningProcess(daemon));
  EXPECT_TRUE(StopDaemon(daemon, 10, true).ok());  // would end this test otherwise
}

TEST(Daemon, ThatIgnoresSigtermIsKilledOnlyByForce) {
  FakeWorld world;
  const Daemon daemon = Script(world, std::string("trap '' TERM\n") + kServes);
  ASSERT_TRUE(StartDaemon(daemon, {daemon.address.string()}).ok());
  const auto stopped = StopDaemon(daemon, 0.05, false);
  EXPECT_THAT(std::string(stopped.message()), HasSubstr("mixlnctl down --force"));
  EXPECT_TRUE(RunningProcess(daemon));
  EXPECT_TRUE(StopDaemon(daemon, 0.05, true).ok());
  EXPECT_FALSE(RunningProcess(daemon));
}

TEST(Up, SaysWhichProgramIsMissingAndLeavesNothing) {
  FakeWorld world;
  EXPECT_EQ(world.Run({"up"}), 1);
  EXPECT_THAT(world.Err(), HasSubstr("mixln-coordinator is not beside mixlnctl"));
}

TEST(Up, ExplainsAFolderThatCannotBeWritten) {
  FakeWorld world;
  EXPECT_EQ(world.Run({"up", "--state-dir", world.Write("file", "") + "/below"}), 1);
  EXPECT_THAT(world.Err(), AllOf(HasSubstr("file/below"), HasSubstr("--state-dir")));
}

TEST(Down, OfNothingIsNoError) {
  FakeWorld world;
  EXPECT_EQ(world.Run({"down"}), 0);
  EXPECT_THAT(world.Err(), HasSubstr("nothing runs"));
}

}  // namespace
}  // namespace mixln::services::mixlnctl
