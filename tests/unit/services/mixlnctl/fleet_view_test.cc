#include "services/mixlnctl/fleet_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/mixlnctl/table.h"

namespace mixln::services::mixlnctl {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr double kNow = 10'000;

v1::Worker Worker(const std::string& host, v1::WorkerState state, const std::vector<std::string>& trials) {
  v1::Worker worker;
  worker.set_id(host + "-id");
  worker.set_hostname(host);
  worker.set_state(state);
  worker.mutable_heartbeat_time()->set_seconds(static_cast<int64_t>(kNow) - 130);
  for (const std::string& trial : trials) worker.add_slots()->set_trial_id(trial);
  return worker;
}

v1::Trial Trial(const std::string& sweep, int index, v1::TrialState state, int64_t step,
                double tokens_per_second) {
  v1::Trial trial;
  trial.set_sweep_id(sweep);
  trial.set_id(sweep + "-" + std::to_string(index));
  trial.set_state(state);
  trial.mutable_spec()->mutable_train()->set_steps(100);
  trial.mutable_progress()->set_step(step);
  trial.mutable_progress()->set_tokens_per_second(tokens_per_second);
  return trial;
}

v1::Sweep Sweep(const std::string& id, int running, int pending) {
  v1::Sweep sweep;
  sweep.set_id(id);
  sweep.mutable_create_time()->set_seconds(static_cast<int64_t>(kNow) - 60);
  sweep.mutable_counts()->set_running(running);
  sweep.mutable_counts()->set_pending(pending);
  return sweep;
}

// Two workers with three of four slots in use, a sweep that is half done, and one that waits.
FleetView Healthy() {
  FleetView view;
  view.coordinator = "lab:7410";
  view.workers = {Worker("gpu-1", v1::WORKER_STATE_READY, {"a-0", "a-0"}),
                  Worker("gpu-2", v1::WORKER_STATE_READY, {"a-1", ""})};
  view.sweeps = {Sweep("a", 2, 0)};
  view.trials = {Trial("a", 0, v1::TRIAL_STATE_RUNNING, 60, 1000),
                 Trial("a", 1, v1::TRIAL_STATE_RUNNING, 40, 500)};
  return view;
}

std::vector<std::string> Texts(const std::vector<Alert>& alerts) {
  std::vector<std::string> texts;
  for (const Alert& alert : alerts) texts.push_back((alert.severe ? "severe: " : "") + alert.text);
  return texts;
}

TEST(FleetLines, BeginWithSlotsInUseAndTheSumOfAllThroughput) {
  const auto lines = FleetLines(Healthy(), {.width = 120, .unicode = false, .now_seconds = kNow});
  EXPECT_EQ(lines[0], "mixln lab:7410  2/2 workers  #######--- 3/4 slots  1.50K tokens/s");
}

TEST(FleetLines, ShowWhatEachSweepAndWorkerDoes) {
  const auto lines = FleetLines(Healthy(), {.width = 120, .unicode = false, .now_seconds = kNow});
  EXPECT_THAT(lines, Contains("a      #####-----   50%     1.50K  1m00s  2 running"));
  EXPECT_THAT(lines, Contains("gpu-1   READY    2/2     1.00K      2m10s  a-0x2"));
  EXPECT_THAT(lines, Contains(testing::AllOf(HasSubstr("a-1"), HasSubstr("RUNNING"), HasSubstr("40/100"))));
}

TEST(FleetLines, LeaveOutASweepThatEndedLongAgo) {
  FleetView view = Healthy();
  for (const auto& [id, ago] : {std::pair("recent", 599), std::pair("old", 601)}) {
    v1::Sweep sweep = Sweep(id, 0, 0);
    sweep.mutable_counts()->set_succeeded(1);
    sweep.mutable_end_time()->set_seconds(static_cast<int64_t>(kNow) - ago);
    view.sweeps.push_back(sweep);
  }
  const auto lines = FleetLines(view, {.width = 120, .unicode = false, .now_seconds = kNow});
  EXPECT_THAT(lines, Contains(testing::AllOf(HasSubstr("recent"), HasSubstr("100%"))));
  EXPECT_THAT(lines, Not(Contains(HasSubstr("old"))));
}

TEST(FleetLines, FitEveryTerminalAndCountWhatTheyHide) {
  FleetView view = Healthy();
  view.sweeps = {Sweep("a", 2, 200)};
  view.workers.push_back(Worker("gpu-3", v1::WORKER_STATE_LOST, {}));
  for (int i = 2; i < 200; ++i) view.trials.push_back(Trial("a", i, v1::TRIAL_STATE_PENDING, 0, 0));
  for (const int height : {1, 5, 10, 24, 60}) {
    for (const int width : {40, 80, 200}) {
      const auto lines = FleetLines(
          view,
          {.width = width, .height = height, .unicode = false, .now_seconds = kNow, .note = "trying again"});
      EXPECT_LE(lines.size(), std::max<size_t>(static_cast<size_t>(height), 2));
      for (const std::string& line : lines) EXPECT_LE(DisplayWidth(line), width) << line;
    }
  }
  const auto lines = FleetLines(view, {.width = 120, .height = 30, .unicode = false, .now_seconds = kNow});
  // The line on all, then 2 lines of alerts, 3 of the sweep and 5 of workers, each with the blank one before
  // it: 19 lines are left, for a blank one, the header, 16 of 200 trials, and the last.
  EXPECT_EQ(lines.back(), "... 184 more not shown");
}

TEST(FleetAlerts, AreNoneWhereAllIsWell) {
  EXPECT_THAT(FleetAlerts(Healthy(), kNow), IsEmpty());
}

TEST(FleetAlerts, NameLostAndDrainedWorkers) {
  FleetView view = Healthy();
  v1::Worker drained = Worker("gpu-2", v1::WORKER_STATE_DRAINING, {});
  drained.set_drained(true);
  drained.set_reason("new power supply");
  view.workers = {drained, Worker("gpu-1", v1::WORKER_STATE_LOST, {})};
  EXPECT_THAT(
      Texts(FleetAlerts(view, kNow)),
      ElementsAre("severe: no worker is ready", "severe: worker gpu-1 is lost, last heard of 2m10s ago",
                  "worker gpu-2 takes no new trials: new power supply"));
}

TEST(FleetAlerts, SayWhyNothingOfASweepRuns) {
  FleetView view = Healthy();
  view.sweeps.push_back(Sweep("b", 0, 1));
  view.trials.push_back(Trial("b", 0, v1::TRIAL_STATE_PENDING, 0, 0));
  view.trials.back().set_reason("waiting for 8 GPUs on one host");
  EXPECT_THAT(Texts(FleetAlerts(view, kNow)),
              ElementsAre("severe: nothing of b runs: waiting for 8 GPUs on one host"));
}

TEST(FleetAlerts, NameTrialsThatFailedAreTriedAgainOrDiverged) {
  FleetView view = Healthy();
  view.sweeps[0].mutable_counts()->set_diverged(2);
  view.trials[0].set_retries(2);
  view.trials[1].set_state(v1::TRIAL_STATE_FAILED);
  view.trials[1].set_reason("out of memory");
  EXPECT_THAT(Texts(FleetAlerts(view, kNow)),
              ElementsAre("severe: a-1 failed: out of memory", "a-0 was tried again 2 times without progress",
                          "a: 2 trials diverged"));
}

}  // namespace
}  // namespace mixln::services::mixlnctl
