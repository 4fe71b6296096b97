#include "services/coordinatord/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/store/memory_store.h"

namespace mixln::services::coordinatord {
namespace {

namespace control = coordinator::control;
namespace state = coordinator::state;

// A store that asks the test before each commit, and counts them.
class AskingStore : public coordinator::store::Store {
 public:
  absl::StatusOr<state::State> Load() override { return memory_.Load(); }
  absl::Status Commit(const state::State& state, const control::Changes& changes) override {
    ++commits;
    const absl::Status answer = ask();
    return answer.ok() ? memory_.Commit(state, changes) : answer;
  }

  absl::Status CheckRoom() const override { return room; }

  absl::Status room;
  std::function<absl::Status()> ask = [] { return absl::OkStatus(); };
  std::atomic<int> commits = 0;

 private:
  coordinator::store::MemoryStore memory_{"c1"};
};

control::Event Submit(const std::string& id) {
  control::SweepSubmitted event;
  event.sweep.set_id(id);
  event.sweep.set_uid(absl::StrCat("u-", id));
  v1::Cell& cell = event.cells.emplace_back();
  cell.mutable_spec()->mutable_resources()->set_ranks(1);
  return event;
}

control::Event Connect(uint64_t session) {
  control::WorkerConnected event;
  event.session = session;
  event.hello.set_worker_id("w1");
  event.hello.set_instance(session);
  event.hello.add_slots()->set_device(v1::DEVICE_CPU);
  return event;
}

v1::AttemptStatus Status(const v1::Fence& fence, v1::AttemptPhase phase) {
  v1::AttemptStatus status;
  status.set_trial_id("alpha-0");
  *status.mutable_fence() = fence;
  status.set_phase(phase);
  status.add_ranks(0);
  return status;
}

control::Event Report(const v1::Fence& fence, v1::AttemptPhase phase) {
  control::AttemptReported event{.session = 1, .worker_id = "w1", .report = {}};
  event.report.set_trial_id("alpha-0");
  *event.report.mutable_fence() = fence;
  event.report.set_phase(phase);
  return event;
}

control::Event Heartbeat(uint64_t sequence, const v1::Fence& fence, v1::AttemptPhase phase) {
  control::HeartbeatReceived event{.session = 1, .worker_id = "w1", .heartbeat = {}};
  event.heartbeat.set_sequence(sequence);
  *event.heartbeat.add_attempts() = Status(fence, phase);
  return event;
}

class LoopTest : public testing::Test {
 protected:
  void SetUp() override {
    Loop::Effects effects{
        .send = [this](const control::Command& command) { sent_.push_back(command); },
        .close_session = [this](uint64_t session, const absl::Status&) { closed_.push_back(session); },
        .close_all_sessions = [this](const absl::Status&) { ++closed_all_; },
        .trials_deleted =
            [this](const auto& ids) { deleted_.insert(deleted_.end(), ids.begin(), ids.end()); },
        .fatal = [this](const absl::Status&) { ++fatal_; },
    };
    // No tick after the first: nothing happens but what the test submits.
    Loop::Options options{.tick_seconds = 1e6, .clock = [] { return base::Now{}; }};
    loop_ = std::make_unique<Loop>(store_, published_, metrics_, std::move(effects), std::move(options));
    ASSERT_TRUE(loop_->Start().ok());
  }

  // Of mixln_refused_total.
  double Refused(const std::string& reason) const {
    for (const auto& family : metrics_.registry()->Collect()) {
      if (family.name != "mixln_refused_total") continue;
      for (const auto& metric : family.metric)
        if (metric.label.at(0).value == reason) return metric.counter.value;
    }
    return -1;
  }

  // Has trial alpha-0 assigned to worker w1.
  v1::Fence ReserveOnWorker() {
    EXPECT_TRUE(loop_->Call(Connect(1)).ok());
    EXPECT_TRUE(loop_->Call(Submit("alpha")).ok());
    EXPECT_TRUE(sent_.back().message.has_reserve());
    return sent_.back().message.reserve().fence();
  }

  AskingStore store_;
  Published published_{{}};
  Metrics metrics_;
  // Written by the loop's thread before it answers, read by the test after.
  std::vector<control::Command> sent_;
  std::vector<uint64_t> closed_;
  std::vector<std::string> deleted_;
  int closed_all_ = 0;
  int fatal_ = 0;
  std::unique_ptr<Loop> loop_;
};

TEST_F(LoopTest, NothingIsAnsweredShownOrSentBeforeItsCommit) {
  bool answered = false;
  bool shown = false;
  size_t sent = 0;
  store_.ask = [&] {
    shown = published_.Workers().size() == 1;
    sent = sent_.size();
    EXPECT_FALSE(answered);
    return absl::OkStatus();
  };
  std::promise<absl::Status> done;
  loop_->Submit(Connect(1), [&](const Loop::Answer& answer) {
    answered = true;
    done.set_value(answer.outcome);
  });
  EXPECT_TRUE(done.get_future().get().ok());
  EXPECT_EQ(store_.commits, 1);
  EXPECT_FALSE(shown);
  EXPECT_EQ(sent, 0U);
  EXPECT_EQ(published_.Workers().size(), 1U);
  ASSERT_FALSE(sent_.empty());
  EXPECT_TRUE(sent_.front().message.has_welcome());
}

TEST_F(LoopTest, WhatCouldNotBeCommittedNeverWas) {
  store_.ask = [] { return absl::InternalError("no"); };
  const auto refused = loop_->Call(Submit("alpha"));
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(published_.Sweep("alpha") == nullptr);
  EXPECT_EQ(closed_all_, 1);

  // Were it still in memory, another spec of the name would be refused.
  store_.ask = [] { return absl::OkStatus(); };
  auto other = Submit("alpha");
  std::get<control::SweepSubmitted>(other).sweep.mutable_spec()->mutable_base()->mutable_train()->set_steps(
      7);
  EXPECT_TRUE(loop_->Call(std::move(other)).ok());
  ASSERT_TRUE(published_.Sweep("alpha") != nullptr);
  EXPECT_EQ(published_.Sweep("alpha")->spec().base().train().steps(), 7);
}

TEST_F(LoopTest, AFullDiskIsSaidAndSurvived) {
  store_.ask = [] { return absl::ResourceExhaustedError("the disk is full"); };
  const auto refused = loop_->Call(Submit("alpha"));
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(refused.message(), "the disk is full");
  EXPECT_EQ(fatal_, 0);
  EXPECT_TRUE(published_.Sweep("alpha") == nullptr);

  // Were it still in memory, another spec of the name would be refused.
  store_.ask = [] { return absl::OkStatus(); };
  auto other = Submit("alpha");
  std::get<control::SweepSubmitted>(other).sweep.mutable_spec()->mutable_base()->mutable_train()->set_steps(
      7);
  EXPECT_TRUE(loop_->Call(std::move(other)).ok());
}

TEST_F(LoopTest, AlmostFullIsFullForANewSweepAndNothingElse) {
  ASSERT_TRUE(loop_->Call(Submit("alpha")).ok());
  store_.room = absl::ResourceExhaustedError("only 3 KiB left");
  EXPECT_EQ(loop_->Call(Submit("beta")).message(), "only 3 KiB left");
  EXPECT_TRUE(loop_->Call(control::SweepCancelled{.sweep_id = "alpha"}).ok());
}

TEST_F(LoopTest, AFullDiskEndsNoStreamUntilThereIsRoomAgain) {
  const v1::Fence fence = ReserveOnWorker();
  ASSERT_TRUE(loop_->Call(Report(fence, v1::ATTEMPT_PHASE_RESERVED)).ok());
  store_.ask = [] { return absl::ResourceExhaustedError("the disk is full"); };
  store_.room = absl::ResourceExhaustedError("only 3 KiB left");
  EXPECT_TRUE(loop_->Call(Heartbeat(1, fence, v1::ATTEMPT_PHASE_RESERVED)).ok());
  EXPECT_FALSE(sent_.back().message.heartbeat_ack().lease_only()) << "nothing was refused yet";

  EXPECT_FALSE(loop_->Call(Report(fence, v1::ATTEMPT_PHASE_RUNNING)).ok());
  EXPECT_NE(published_.Trial("alpha-0")->state(), v1::TRIAL_STATE_RUNNING);
  const size_t sent = sent_.size();
  EXPECT_TRUE(loop_->Call(Heartbeat(2, fence, v1::ATTEMPT_PHASE_RUNNING)).ok());
  ASSERT_EQ(sent_.size(), sent + 1);
  EXPECT_EQ(sent_.back().message.heartbeat_ack().sequence(), 2u);
  EXPECT_TRUE(sent_.back().message.heartbeat_ack().lease_only()) << "the report is not on disk";
  EXPECT_EQ(closed_all_, 0);
  EXPECT_TRUE(closed_.empty());

  store_.ask = [] { return absl::OkStatus(); };
  store_.room = absl::OkStatus();
  EXPECT_TRUE(loop_->Call(Heartbeat(3, fence, v1::ATTEMPT_PHASE_RUNNING)).ok());
  EXPECT_THAT(closed_, testing::ElementsAre(1)) << "so that it says again what was refused";
  EXPECT_FALSE(loop_->Call(Report(fence, v1::ATTEMPT_PHASE_RUNNING)).ok()) << "not on the old stream";
  EXPECT_NE(published_.Trial("alpha-0")->state(), v1::TRIAL_STATE_RUNNING);

  ASSERT_TRUE(loop_->Call(control::WorkerDisconnected{.session = 1, .worker_id = "w1"}).ok());
  auto again = Connect(2);
  *std::get<control::WorkerConnected>(again).hello.add_attempts() = Status(fence, v1::ATTEMPT_PHASE_RUNNING);
  ASSERT_TRUE(loop_->Call(std::move(again)).ok());
  EXPECT_EQ(published_.Trial("alpha-0")->state(), v1::TRIAL_STATE_RUNNING);
}

TEST_F(LoopTest, WhatNeedsNoCommitIsNotRefusedWithWhatDoes) {
  ASSERT_TRUE(loop_->Call(Connect(1)).ok());
  std::promise<void> committing;
  std::promise<void> go_on;
  store_.ask = [&]() -> absl::Status {
    if (store_.commits == 2) {
      committing.set_value();
      go_on.get_future().wait();
      return absl::OkStatus();
    }
    return absl::ResourceExhaustedError("the disk is full");
  };
  // The two wait for the commit of the first, and then share a batch.
  loop_->Submit(Submit("alpha"), [](const Loop::Answer&) {});
  committing.get_future().wait();
  std::promise<absl::Status> refused;
  std::promise<absl::Status> answered;
  loop_->Submit(Submit("beta"), [&](const Loop::Answer& answer) { refused.set_value(answer.outcome); });
  control::HeartbeatReceived heartbeat{.session = 1, .worker_id = "w1", .heartbeat = {}};
  loop_->Submit(heartbeat, [&](const Loop::Answer& answer) { answered.set_value(answer.outcome); });
  go_on.set_value();
  EXPECT_TRUE(absl::IsResourceExhausted(refused.get_future().get()));
  EXPECT_TRUE(answered.get_future().get().ok());
}

TEST_F(LoopTest, AFailingDiskIsFatal) {
  store_.ask = [] { return absl::DataLossError("the disk fails"); };
  EXPECT_FALSE(loop_->Call(Submit("alpha")).ok());
  EXPECT_EQ(fatal_, 1);
}

TEST_F(LoopTest, WhatArrivesDuringACommitSharesTheNext) {
  std::promise<void> committing;
  std::promise<void> go_on;
  store_.ask = [&] {
    if (store_.commits == 1) {
      committing.set_value();
      go_on.get_future().wait();
    }
    return absl::OkStatus();
  };
  std::vector<std::promise<absl::Status>> done(4);
  const auto submit = [&](size_t i) {
    loop_->Submit(Submit(absl::StrCat("s", i)),
                  [&done, i](const Loop::Answer& answer) { done[i].set_value(answer.outcome); });
  };
  submit(0);
  committing.get_future().wait();
  for (size_t i = 1; i < 4; ++i) submit(i);
  go_on.set_value();
  for (auto& promise : done) EXPECT_TRUE(promise.get_future().get().ok());
  EXPECT_EQ(store_.commits, 2);
  EXPECT_EQ(published_.Sweeps().size(), 4U);
}

TEST_F(LoopTest, AnEventThatChangesNothingCostsNoCommit) {
  EXPECT_EQ(loop_->Call(control::SweepCancelled{.sweep_id = "none"}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_.commits, 0);
}

TEST_F(LoopTest, ANewerStreamOfAWorkerEndsTheOlder) {
  EXPECT_TRUE(loop_->Call(Connect(1)).ok());
  EXPECT_TRUE(loop_->Call(Connect(2)).ok());
  EXPECT_THAT(closed_, testing::ElementsAre(1));
}

TEST_F(LoopTest, WordsOfAReplacedStreamAreRefusedAndCounted) {
  const v1::Fence fence = ReserveOnWorker();
  EXPECT_TRUE(loop_->Call(Connect(2)).ok());
  const size_t sent = sent_.size();
  EXPECT_EQ(loop_->Call(Report(fence, v1::ATTEMPT_PHASE_RUNNING)).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(loop_->Call(Heartbeat(1, fence, v1::ATTEMPT_PHASE_RUNNING)).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Refused("stale_session"), 2);
  EXPECT_EQ(sent_.size(), sent);
  EXPECT_EQ(published_.Trial("alpha-0")->state(), v1::TRIAL_STATE_STARTING);
}

TEST_F(LoopTest, TheTrialsOfADeletedSweepAreNamed) {
  ASSERT_TRUE(loop_->Call(Submit("alpha")).ok());
  ASSERT_TRUE(loop_->Call(control::SweepCancelled{.sweep_id = "alpha"}).ok());
  ASSERT_TRUE(loop_->Call(control::SweepDeleted{.sweep_id = "alpha"}).ok());
  EXPECT_THAT(deleted_, testing::ElementsAre("alpha-0"));
  EXPECT_TRUE(published_.Sweep("alpha") == nullptr);
  EXPECT_TRUE(published_.Trials("").empty());
}

TEST_F(LoopTest, AfterStopEverybodyIsToldToComeBack) {
  loop_->Stop();
  EXPECT_EQ(loop_->Call(Submit("alpha")).code(), absl::StatusCode::kUnavailable);
}

// A loop on the test's own clock, with one worker that has just connected.
class LoopOnAClock : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(loop_.Load().ok());
    Say(Connect(1));
    Pass(0);
  }
  void Say(control::Event event) {
    loop_.Submit(std::move(event), [](const Loop::Answer&) {});
  }
  void Pass(double seconds) {
    now_.steady = now_.steady + base::Seconds(seconds);
    loop_.Pump(/*tick=*/true);
  }
  v1::WorkerState WorkerState() const { return published_.Workers().at(0)->state(); }
  // Seconds of ticks until it is lost.
  int SecondsToLoss() {
    int seconds = 0;
    for (; WorkerState() != v1::WORKER_STATE_LOST && seconds < 100; ++seconds) Pass(1);
    return seconds;
  }

  base::Now now_{};
  AskingStore store_;
  Published published_{{}};
  Metrics metrics_;
  Loop loop_{store_,
             published_,
             metrics_,
             {.send = [](const control::Command&) {},
              .close_session = [](uint64_t, const absl::Status&) {},
              .close_all_sessions = [](const absl::Status&) {},
              .trials_deleted = [](const std::vector<std::string>&) {},
              .fatal = [](const absl::Status& why) { FAIL() << why; }},
             {.clock = [this] { return now_; }}};
};

TEST_F(LoopOnAClock, AWorkerThatIsNotHeardIsLostAfterItsLease) {
  EXPECT_EQ(SecondsToLoss(), 8);
}

TEST_F(LoopOnAClock, ItsOwnStandstillIsHeldAgainstNobody) {
  Pass(3600);
  EXPECT_EQ(WorkerState(), v1::WORKER_STATE_READY);
  EXPECT_EQ(SecondsToLoss(), 30) << "reconnect_grace";
}

TEST_F(LoopOnAClock, NeitherIsACommitThatTookLongerThanALease) {
  store_.ask = [&] {
    now_.steady = now_.steady + base::Seconds(20);
    return absl::OkStatus();
  };
  Say(Submit("alpha"));
  Pass(1);
  store_.ask = [] { return absl::OkStatus(); };
  Pass(1);
  EXPECT_EQ(WorkerState(), v1::WORKER_STATE_READY);
}

TEST_F(LoopOnAClock, NorIsAFullDiskOnWhichNobodyCanConnect) {
  store_.ask = [] { return absl::ResourceExhaustedError("the disk is full"); };
  store_.room = store_.ask();
  Say(control::WorkerDisconnected{.session = 1, .worker_id = "w1"});
  Say(Connect(2));
  for (int seconds = 0; seconds < 60; ++seconds) Pass(1);
  store_.ask = [] { return absl::OkStatus(); };
  store_.room = absl::OkStatus();
  Pass(1);
  EXPECT_EQ(WorkerState(), v1::WORKER_STATE_READY);
  EXPECT_EQ(SecondsToLoss(), 30) << "reconnect_grace";
}

}  // namespace
}  // namespace mixln::services::coordinatord
