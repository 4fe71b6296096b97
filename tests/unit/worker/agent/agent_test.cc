#include "worker/agent/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "agent_host.h"
#include "base/file/durable.h"
#include "base/file/lock_file.h"
#include "worker/agent/process.h"

namespace mixln::worker::agent {
namespace {

namespace fs = std::filesystem;
using session::KeyOf;

// The fake trainer's faults, for the processes that are started while this lives.
class Faults {
 public:
  explicit Faults(const std::string& text) { setenv("MIXLN_FAKE_TRAINER", text.c_str(), 1); }
  ~Faults() { unsetenv("MIXLN_FAKE_TRAINER"); }
};

class AgentTest : public testing::Test {
 protected:
  ~AgentTest() override {
    // Whatever a failed test left behind.
    const pid_t pid = RankPid();
    if (pid > 0 && base::LockFile::IsHeld(RankFolder() / "rank.lock")) kill(pid, SIGKILL);
    Eventually([&] { return !base::LockFile::IsHeld(RankFolder() / "rank.lock"); });
  }

  fs::path RankFolder() const { return folder_ / "state/attempts/sweep-0/3-1/rank-0"; }
  nlohmann::json Json(const std::string& name) const {
    const auto text = base::ReadFile(RankFolder() / name);
    return text.ok() ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
  }
  pid_t RankPid() const {
    const nlohmann::json shim = Json("shim.json");
    return shim.is_object() ? shim.value("rank_pid", 0) : 0;
  }
  pid_t ShimPid() const {
    const nlohmann::json shim = Json("shim.json");
    return shim.is_object() ? shim.value("pid", 0) : 0;
  }
  bool HasTrained() const {
    const auto events = base::ReadFile(RankFolder() / "events.jsonl");
    return events.ok() && events->find("step_done") != std::string::npos;
  }
  void ReleaseRank() const { std::ofstream(folder_ / "go") << "go"; }
  std::string WaitAt(int step) const { return absl::StrCat("wait:", (folder_ / "go").string(), "@", step); }

  TemporaryFolder folder_;
};

TEST_F(AgentTest, LivesAWholeRankLife) {
  HostedAgent host(MakeAgentOptions(folder_.path()));
  const v1::Reserve reserve = MakeReserve(300);
  ASSERT_TRUE(host.Run(reserve));
  const auto* progress = host.Find<session::PrepareProgress>();
  ASSERT_NE(progress, nullptr);
  EXPECT_EQ(progress->detail, "tokenizing 43%");
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->end.outcome, v1::ATTEMPT_OUTCOME_FINISHED);
  // started, 300 steps, an evaluation after the last, 60 checkpoints, finished
  EXPECT_EQ(ended->last_sequence, 1u + 300 + 1 + 60 + 1);
  const auto events = host.ReadAll(KeyOf(reserve));
  ASSERT_EQ(events.size(), ended->last_sequence);
  for (size_t i = 0; i < events.size(); ++i) ASSERT_EQ(events[i].sequence(), i + 1);
  EXPECT_EQ(host.ReadAll(KeyOf(reserve), 360).size(), 3u) << "from the coordinator's cursor";
  EXPECT_EQ(host.ReadAll(KeyOf(reserve), 10).size(), 353u) << "and back to an older one";
  EXPECT_TRUE(fs::exists(folder_ / "artifacts/trials/sweep-uid/0/3-1/checkpoints/step-000000300"));
  EXPECT_TRUE(ProcessesOfSession(ShimPid()).empty());
}

TEST_F(AgentTest, TellsTheRankAllThatItMustKnow) {
  HostedAgent host(MakeAgentOptions(folder_.path()));
  v1::Reserve reserve = MakeReserve(10);
  ASSERT_TRUE(host.Run(reserve));
  ASSERT_NE(host.Wait<session::RankEnded>(), nullptr);
  const nlohmann::json config = Json("trial.json");
  EXPECT_EQ(config["trial_id"], "sweep-0");
  EXPECT_EQ(config["fence"]["epoch"], "1");
  EXPECT_EQ(config["dataset_dir"], "/shards");
  EXPECT_EQ(config["attempt_dir"], (folder_ / "artifacts/trials/sweep-uid/0/3-1").string());
  EXPECT_EQ(config["resume_from"], "");
  EXPECT_EQ(config["threads"], 1);
  EXPECT_EQ(config["gpu"], -1);
  EXPECT_EQ(config["spec"]["train"]["warmup_steps"], "0") << "defaults are printed";
}

TEST_F(AgentTest, PinsTheRankToItsSlotsCores) {
  const Faults faults(WaitAt(2));
  AgentOptions options = MakeAgentOptions(folder_.path());
  const int cpu = options.slots[0].cpus(0);
  HostedAgent host(std::move(options));
  ASSERT_TRUE(host.Run(MakeReserve(3)));
  ASSERT_TRUE(Eventually([&] { return HasTrained(); }));
  const auto status = base::ReadFile(absl::StrCat("/proc/", RankPid(), "/status"));
  ASSERT_TRUE(status.ok());
  EXPECT_THAT(*status, testing::HasSubstr(absl::StrCat("Cpus_allowed_list:\t", cpu, "\n")));
  ReleaseRank();
  EXPECT_NE(host.Wait<session::RankEnded>(), nullptr);
}

TEST_F(AgentTest, ResumesFromACheckpointBelowTheArtifactsRoot) {
  HostedAgent host(MakeAgentOptions(folder_.path()));
  host.Order(session::ClaimArtifacts{"cluster"});
  fs::create_directories(folder_ / "artifacts/trials/sweep-uid/0/2-9/checkpoints/step-000000007");
  std::ofstream(folder_ / "artifacts/trials/sweep-uid/0/2-9/checkpoints/step-000000007/step") << 7;
  v1::Reserve reserve = MakeReserve(10);
  reserve.set_resume_from("trials/sweep-uid/0/2-9/checkpoints/step-000000007");
  ASSERT_TRUE(host.Run(reserve));
  ASSERT_NE(host.Wait<session::RankEnded>(), nullptr);
  const auto events = host.ReadAll(KeyOf(reserve));
  EXPECT_EQ(events.at(0).started().resume_step(), 7);
  EXPECT_EQ(events.at(1).step(), 8);
}

TEST_F(AgentTest, ACheckpointIsNotLookedForWhereTheArtifactsVolumeIsGone) {
  HostedAgent host(MakeAgentOptions(folder_.path()));
  v1::Reserve reserve = MakeReserve(10);
  reserve.set_resume_from("trials/sweep-uid/0/2-9/checkpoints/step-000000007");
  ASSERT_TRUE(host.Run(reserve));
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->end.cause, v1::FAILURE_CAUSE_IO);
  EXPECT_THAT(ended->end.message, testing::HasSubstr("is its volume not mounted any more?"));
}

// What is logged while this lives.
class CapturedLog {
 public:
  CapturedLog() {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_, /*force_flush=*/true)));
  }
  ~CapturedLog() { spdlog::set_default_logger(before_); }
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

TEST_F(AgentTest, AnEventFileThatCannotBeReadOnIsLoggedOnce) {
  const CapturedLog log;
  const Faults faults(WaitAt(3));
  HostedAgent host(MakeAgentOptions(folder_.path()));
  const v1::Reserve reserve = MakeReserve(10);
  ASSERT_TRUE(host.Run(reserve));
  const auto lines = [&] {
    const auto text = base::ReadFile(RankFolder() / "events.jsonl");
    return text.ok() ? std::count(text->begin(), text->end(), '\n') : 0;
  };
  ASSERT_TRUE(Eventually([&] { return lines() == 3; }));  // started, and two steps
  std::ofstream(RankFolder() / "events.jsonl", std::ios::app) << "no event\n";
  ReleaseRank();
  ASSERT_NE(host.Wait<session::RankEnded>(), nullptr);
  for (int look = 0; look < 2; ++look) EXPECT_EQ(host.ReadAll(KeyOf(reserve)).size(), 3u);
  EXPECT_THAT(log.text(), testing::HasSubstr("events.jsonl line 4"));
  EXPECT_EQ(log.text().find("line 4"), log.text().rfind("line 4"));
}

TEST_F(AgentTest, ARankKilledByASignalIsACrashThatNamesTheSignal) {
  const Faults faults(WaitAt(3));
  HostedAgent host(MakeAgentOptions(folder_.path()));
  ASSERT_TRUE(host.Run(MakeReserve(1000)));
  ASSERT_TRUE(Eventually([&] { return HasTrained(); }));
  kill(RankPid(), SIGKILL);
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->end.cause, v1::FAILURE_CAUSE_TRAINER_CRASH);
  EXPECT_THAT(ended->end.message,
              testing::MatchesRegex("rank 0 on .* was killed by signal 9 \\(SIGKILL\\).*"));
  EXPECT_THAT(ended->end.message, testing::HasSubstr("fake trainer: sweep-0 rank 0"))
      << "the log's last lines";
  EXPECT_EQ(Json("exit.json")["signal"], 9);
}

TEST_F(AgentTest, Promise7AShimThatIsKilledTakesItsRankWithIt) {
  const Faults faults(WaitAt(3));
  HostedAgent host(MakeAgentOptions(folder_.path()));
  ASSERT_TRUE(host.Run(MakeReserve(1000)));
  ASSERT_TRUE(Eventually([&] { return HasTrained(); }));
  const pid_t shim = ShimPid();
  kill(shim, SIGKILL);
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->end.outcome, v1::ATTEMPT_OUTCOME_FAILED);
  EXPECT_TRUE(ProcessesOfSession(shim).empty());
}

TEST_F(AgentTest, AnExitCodeIsACauseAndAFailedEventIsBelieved) {
  {
    const Faults faults("exit:65@2");
    HostedAgent host(MakeAgentOptions(folder_.path()));
    ASSERT_TRUE(host.Run(MakeReserve(10)));
    const auto* ended = host.Wait<session::RankEnded>();
    ASSERT_NE(ended, nullptr);
    EXPECT_EQ(ended->end.cause, v1::FAILURE_CAUSE_DATA_ERROR);
    host.Order(session::Forget{KeyOf(MakeReserve(10))});
  }
  const Faults faults("fail:71@2");
  HostedAgent host(MakeAgentOptions(folder_.path()));
  ASSERT_TRUE(host.Run(MakeReserve(10, 2)));
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->end.cause, v1::FAILURE_CAUSE_OUT_OF_MEMORY);
  EXPECT_THAT(ended->end.message,
              testing::MatchesRegex("rank 0 on .* exited with code 71: fake failure at step 2"));
}

TEST_F(AgentTest, ADivergedRankIsAResult) {
  const Faults faults("fail:76@2");
  HostedAgent host(MakeAgentOptions(folder_.path()));
  ASSERT_TRUE(host.Run(MakeReserve(10)));
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->end.outcome, v1::ATTEMPT_OUTCOME_DIVERGED);
  EXPECT_EQ(ended->end.cause, v1::FAILURE_CAUSE_DIVERGED);
}

TEST_F(AgentTest, ATornLastLineIsNoEvent) {
  const Faults faults("torn@3");
  HostedAgent host(MakeAgentOptions(folder_.path()));
  ASSERT_TRUE(host.Run(MakeReserve(10)));
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->last_sequence, 3u);  // started and two steps
  EXPECT_EQ(host.ReadAll(KeyOf(MakeReserve(10))).size(), 3u);
}

TEST_F(AgentTest, StopsWithACheckpoint) {
  const Faults faults(WaitAt(8));
  HostedAgent host(MakeAgentOptions(folder_.path()));
  const v1::Reserve reserve = MakeReserve(1000);
  ASSERT_TRUE(host.Run(reserve));
  ASSERT_TRUE(Eventually([&] { return HasTrained(); }));
  host.Order(session::StopRanks{KeyOf(reserve), {}});
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->end.outcome, v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_TRUE(host.ReadAll(KeyOf(reserve)).back().has_checkpoint_done());
}

TEST_F(AgentTest, AStopNowKillsARankThatHangs) {
  const Faults faults("hang@2");
  HostedAgent host(MakeAgentOptions(folder_.path()));
  const v1::Reserve reserve = MakeReserve(1000);
  ASSERT_TRUE(host.Run(reserve));
  ASSERT_TRUE(Eventually([&] { return HasTrained(); }));
  host.Order(session::StopRanks{KeyOf(reserve), {v1::STOP_MODE_NOW, session::StopOrigin::kCoordinator, ""}});
  ASSERT_NE(host.Wait<session::RankEnded>(), nullptr);
}

TEST_F(AgentTest, ARankThatDoesNotStopIsKilledAfterTheGrace) {
  const Faults faults("hang@2");
  AgentOptions options = MakeAgentOptions(folder_.path());
  options.stop_grace = base::Seconds(0.2);
  HostedAgent host(std::move(options));
  const v1::Reserve reserve = MakeReserve(1000);
  ASSERT_TRUE(host.Run(reserve));
  ASSERT_TRUE(Eventually([&] { return HasTrained(); }));
  host.Order(session::StopRanks{KeyOf(reserve), {}});
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_THAT(ended->end.message, testing::HasSubstr(" was killed by signal 9"));
  EXPECT_TRUE(ended->end.killed);
}

// Starts a daemon in a process of its own and returns once its rank has trained.
class AdoptionTest : public AgentTest {
 protected:
  void StartDaemon(int steps) {
    auto daemon = Spawn({fs::read_symlink("/proc/self/exe").string(), kHostAgent, folder_.path().string(),
                         absl::StrCat(steps)},
                        {});
    ASSERT_TRUE(daemon.ok()) << daemon.status();
    daemon_ = daemon->pid;
    ASSERT_TRUE(Eventually([&] { return HasTrained(); }));
  }
  void KillDaemon() const {
    kill(-daemon_, SIGKILL);
    waitpid(daemon_, nullptr, 0);
  }
  pid_t daemon_ = 0;
};

TEST_F(AdoptionTest, ANewDaemonGoesOnWithTheRanksOfAKilledOne) {
  const Faults faults(WaitAt(20));
  StartDaemon(100);
  KillDaemon();
  const pid_t rank = RankPid();
  EXPECT_NE(StartTime(rank), 0u) << "the rank lives on";
  HostedAgent host(MakeAgentOptions(folder_.path()));
  const auto* adopted = host.Find<session::Adopted>();
  ASSERT_NE(adopted, nullptr);
  EXPECT_TRUE(adopted->started);
  EXPECT_EQ(adopted->reserve.trial_id(), "sweep-0");
  EXPECT_EQ(host.agent().state().instance(), 2u);
  host.Poll();
  EXPECT_EQ(host.Find<session::RankEnded>(), nullptr);
  EXPECT_FALSE(host.agent().Fds().empty()) << "watched by its pidfd";
  ReleaseRank();
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->end.outcome, v1::ATTEMPT_OUTCOME_FINISHED);
  EXPECT_EQ(RankPid(), rank) << "it is the same process";
  EXPECT_EQ(
      host.ReadAll(adopted->reserve.trial_id().empty() ? KeyOf(MakeReserve(1)) : KeyOf(adopted->reserve))
          .size(),
      ended->last_sequence);
}

TEST_F(AdoptionTest, AnAdoptedRankCanBeStopped) {
  const Faults faults(WaitAt(20));
  StartDaemon(100);
  KillDaemon();
  HostedAgent host(MakeAgentOptions(folder_.path()));
  host.Order(session::StopRanks{KeyOf(MakeReserve(1)), {}});
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->end.outcome, v1::ATTEMPT_OUTCOME_STOPPED);
}

TEST_F(AdoptionTest, ARankThatEndedWithoutADaemonIsReportedByTheNext) {
  const Faults faults(WaitAt(20) + ",exit:72@30");
  StartDaemon(100);
  KillDaemon();
  ReleaseRank();
  ASSERT_TRUE(Eventually([&] { return fs::exists(RankFolder() / "exit.json"); }));
  HostedAgent host(MakeAgentOptions(folder_.path()));
  const auto* ended = host.Wait<session::RankEnded>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->end.cause, v1::FAILURE_CAUSE_PEER_LOST);
  EXPECT_EQ(ended->last_sequence, 1u + 29 + 5) << "started, 29 steps, 5 checkpoints";
}

TEST_F(AdoptionTest, ADaemonRefusesAStateFolderThatAnotherHasOpen) {
  const Faults faults(WaitAt(20));
  StartDaemon(100);
  EXPECT_TRUE(absl::IsAlreadyExists(Agent::Open(MakeAgentOptions(folder_.path())).status()));
  KillDaemon();
}

TEST_F(AgentTest, AForgottenAttemptIsNotAdoptedButItsLogCanBeReadOnAnyHost) {
  const v1::Reserve reserve = MakeReserve(3);
  {
    HostedAgent host(MakeAgentOptions(folder_.path()));
    ASSERT_TRUE(host.Run(reserve));
    ASSERT_NE(host.Wait<session::RankEnded>(), nullptr);
    host.Order(session::Forget{KeyOf(reserve)});
  }
  // A worker of another host, which sees the same artifacts, can show it too.
  AgentOptions options = MakeAgentOptions(folder_.path());
  options.state_folder = folder_ / "state of another host";
  HostedAgent host(options);
  EXPECT_EQ(host.Find<session::Adopted>(), nullptr);
  v1::LogRequest request;
  request.set_request_id(9);
  request.set_trial_id(reserve.trial_id());
  request.set_trial_dir(reserve.trial_dir());
  *request.mutable_fence() = reserve.fence();
  host.Order(session::ReadLog{request});
  const auto* log = host.Find<session::LogRead>();
  ASSERT_NE(log, nullptr);
  EXPECT_EQ(log->chunk.data(), "fake trainer: sweep-0 rank 0\n");
  EXPECT_TRUE(log->chunk.end());
}

TEST_F(AgentTest, WhatARankWritesAfterItsTrialWasDeletedGoesOnceItIsForgotten) {
  const Faults faults(WaitAt(7));
  HostedAgent host(MakeAgentOptions(folder_.path()));
  const v1::Reserve reserve = MakeReserve(20);
  ASSERT_TRUE(host.Run(reserve));
  // It waits then, and has no checkpoint half written.
  ASSERT_TRUE(Eventually([&] {
    const auto events = base::ReadFile(RankFolder() / "events.jsonl");
    return events.ok() && events->find("\"step\":\"6\"") != std::string::npos;
  }));
  const fs::path trial = folder_ / "artifacts" / reserve.trial_dir();
  host.Order(session::DeleteFolders{{reserve.trial_dir()}});
  EXPECT_FALSE(fs::exists(trial));
  ReleaseRank();
  ASSERT_NE(host.Wait<session::RankEnded>(), nullptr);
  EXPECT_TRUE(fs::exists(trial)) << "the rank lived on";
  host.Order(session::Forget{KeyOf(reserve)});
  EXPECT_FALSE(fs::exists(trial));
  EXPECT_FALSE(fs::exists(RankFolder()));
}

// Fake mixln-prepare programs.
class PrepareTest : public AgentTest {
 protected:
  AgentOptions With(const std::string& script) {
    std::ofstream(folder_ / "prepare") << "#!/bin/sh\n" << script;
    chmod((folder_ / "prepare").c_str(), 0755);
    return MakeAgentOptions(folder_.path());
  }
};

TEST_F(PrepareTest, ItsErrorAndExitCodeAreTheAttemptsFailure) {
  HostedAgent host(With("echo '{\"error\":\"x.txt is binary\"}'; exit 65\n"));
  host.Order(session::Prepare{MakeReserve(1)});
  const auto* failed = host.Wait<session::PrepareFailed>();
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->cause, v1::FAILURE_CAUSE_DATA_ERROR);
  EXPECT_EQ(failed->message, "x.txt is binary");
}

TEST_F(PrepareTest, TwoAttemptsAtTheSameDataShareOneProcess) {
  HostedAgent host(With(absl::StrCat("echo ran >> ", (folder_ / "runs").string(), "\nwhile [ ! -e ",
                                     (folder_ / "go").string(),
                                     " ]; do sleep 0.01; done\necho '{\"dataset_dir\":\"/shards\"}'\n")));
  host.Order(session::Prepare{MakeReserve(1, 1)});
  host.Order(session::Prepare{MakeReserve(1, 2)});
  ReleaseRank();
  int prepared = 0;
  EXPECT_TRUE(Eventually([&] {
    host.Poll();
    prepared = 0;
    for (const session::Event& event : host.events())
      prepared += std::holds_alternative<session::Prepared>(event);
    return prepared == 2;
  }));
  EXPECT_EQ(*base::ReadFile(folder_ / "runs"), "ran\n");
}

TEST_F(PrepareTest, AStoppedAttemptsPreparationIsEnded) {
  HostedAgent host(
      With(absl::StrCat("echo $$ > ", (folder_ / "pid").string(), ".tmp; mv ", (folder_ / "pid").string(),
                        ".tmp ", (folder_ / "pid").string(), "\nsleep 1000\n")));
  host.Order(session::Prepare{MakeReserve(1)});
  ASSERT_TRUE(Eventually([&] { return fs::exists(folder_ / "pid"); }));
  const pid_t pid = std::stoi(*base::ReadFile(folder_ / "pid"));
  host.Order(session::StopRanks{KeyOf(MakeReserve(1)), {}});
  EXPECT_TRUE(Eventually([&] { return ProcessesOfSession(pid).empty(); }));
}

TEST_F(PrepareTest, AProgramThatIsNotThereIsSaid) {
  AgentOptions options = MakeAgentOptions(folder_.path());
  options.prepare = folder_ / "nowhere";
  HostedAgent host(std::move(options));
  host.Order(session::Prepare{MakeReserve(1)});
  const auto* failed = host.Find<session::PrepareFailed>();
  ASSERT_NE(failed, nullptr);
  EXPECT_THAT(failed->message, testing::HasSubstr("nowhere"));
}

}  // namespace
}  // namespace mixln::worker::agent
