// Deleting sweeps: who is told, and for how long.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster.h"

namespace mixln::coordinator::control {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Delete, IsRefusedWhileATrialHasNotEnded) {
  Cluster c;
  c.Submit("s", 1);
  EXPECT_EQ(c.Happen(SweepDeleted{"s"}).outcome.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(c.state.sweeps.contains("s"));
}

TEST(Delete, ForgetsTheSweepAndHasItsArtifactsDeleted) {
  Cluster c;
  c.Connect("a", 1);
  c.Submit("s", 1);
  c.Fail("a", "s-0", v1::FAILURE_CAUSE_BAD_CONFIG);
  c.Happen(SweepDeleted{"s"});
  EXPECT_THAT(c.SentTo("a"), ElementsAre("delete trials/s-uids"));
  EXPECT_TRUE(c.state.sweeps.empty());
  EXPECT_TRUE(c.state.trials.empty());
  EXPECT_THAT(c.last.changes.trials, Contains("s-0"));
  EXPECT_THAT(c.last.changes.sweeps, Contains("s"));
}

// A rank's folder is on its own worker only.
TEST(Delete, IsToldToEveryWorkerThatRanATrial) {
  Cluster c;
  c.Connect("a", 1);
  c.Connect("b", 1);
  c.Connect("c", 0);
  c.Submit("s", 2);
  for (const char* trial : {"s-0", "s-1"})
    c.Fail(c.LastAttempt(trial).ranks(0).worker_id(), trial, v1::FAILURE_CAUSE_BAD_CONFIG);
  c.Happen(SweepDeleted{"s"});
  for (const char* worker : {"a", "b"}) EXPECT_THAT(c.SentTo(worker), ElementsAre("delete trials/s-uids"));
  EXPECT_THAT(c.SentTo("c"), ElementsAre());
}

TEST(Delete, OfArtifactsWaitsForAWorkerThatCanDoIt) {
  Cluster c;
  c.Connect("a", 1);
  c.Submit("s", 1);
  c.Fail("a", "s-0", v1::FAILURE_CAUSE_BAD_CONFIG);
  c.Disconnect("a");
  EXPECT_EQ(c.Happen(SweepDeleted{"s"}).outcome.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(c.state.sweeps.contains("s"));
}

// Two workers that ran one trial each of sweep s; b has gone away.
struct OneIsAway : Cluster {
  OneIsAway() {
    options.lease = base::Seconds(8);
    Connect("a", 1);
    Connect("b", 1);
    Submit("s", 2);
    for (const char* trial : {"s-0", "s-1"})
      Fail(LastAttempt(trial).ranks(0).worker_id(), trial, v1::FAILURE_CAUSE_BAD_CONFIG);
    Disconnect("b");
    Happen(SweepDeleted{"s"});
  }

  // So long with a heartbeat of the worker every two seconds.
  void Hear(const std::string& worker, double seconds) {
    for (double passed = 0; passed < seconds; passed += 2) {
      Pass(2);
      Beat(worker, {});
    }
    Pass(0);
  }
};

TEST(Delete, AWorkerThatWasAwayIsToldWhenItComesBack) {
  OneIsAway c;
  EXPECT_THAT(c.SentTo("a"), ElementsAre("delete trials/s-uids"));
  EXPECT_THAT(c.SentTo("b"), IsEmpty());
  c.Connect(Cluster::Hello("b", 1, 2));
  EXPECT_THAT(c.SentTo("b"), ElementsAre("welcome keep=0", "delete trials/s-uids"));
}

TEST(Delete, ARestartOfTheCoordinatorForgetsNoWorkerThatWasAway) {
  OneIsAway c;
  EXPECT_THAT(c.last.changes.workers, Contains("b"));
  c.Restart();
  c.Pass(1000);
  c.Connect(Cluster::Hello("b", 1, 2));
  EXPECT_THAT(c.SentTo("b"), Contains("delete trials/s-uids"));
}

// The order may have been lost with the stream.
TEST(Delete, IsToldAgainOnEachStreamUntilOneHasLasted) {
  OneIsAway c;
  c.Connect(Cluster::Hello("b", 1, 2));
  c.Hear("b", 6);
  c.Connect(Cluster::Hello("b", 1, 3));
  EXPECT_THAT(c.SentTo("b"), Contains("delete trials/s-uids"));
  c.Hear("b", 18);
  EXPECT_THAT(c.state.workers.at("b").deletions, IsEmpty());
  c.Connect(Cluster::Hello("b", 1, 4));
  EXPECT_THAT(c.SentTo("b"), ElementsAre("welcome keep=0"));
}

// A stream that nobody is heard on proves nothing.
TEST(Delete, IsNotForgottenWhileTheWorkerIsSilent) {
  OneIsAway c;
  c.Connect(Cluster::Hello("b", 1, 2));
  for (int i = 0; i < 20; ++i) c.Pass(2);
  EXPECT_THAT(c.state.workers.at("b").deletions, ElementsAre("trials/s-uids"));
}

TEST(Delete, IsNotForgottenWhileASilentWorkersLeaseHoldsOnlyForACoordinatorThatStoodStill) {
  OneIsAway c;
  c.Connect(Cluster::Hello("b", 1, 2));
  c.Happen(StoodStill{base::Seconds(10)});
  for (int i = 0; i < 14; ++i) c.Pass(2);
  EXPECT_EQ(c.state.workers.at("b").worker.state(), v1::WORKER_STATE_READY);
  EXPECT_THAT(c.state.workers.at("b").deletions, ElementsAre("trials/s-uids"));
}

}  // namespace
}  // namespace mixln::coordinator::control
