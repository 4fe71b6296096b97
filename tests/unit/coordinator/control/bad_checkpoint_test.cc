// A checkpoint that turns out to be damaged, and the fall-back to the one before.
#include <gmock/gmock.h>

#include "cluster.h"

namespace mixln::coordinator::control {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A trial that has checkpoints of steps 5 and 10 and has been paused and resumed.
struct BadCheckpoint : ::testing::Test {
  BadCheckpoint() {
    c.Connect("a", 1);
    c.Submit("s", 1);
    c.Trial("s-0").mutable_spec()->mutable_retry()->set_max_retries(0);
    c.RunOn("a", "s-0");
    c.Happen(c.Batch("a", "s-0", {Cluster::Checkpoint(5), Cluster::Checkpoint(10)}));
    c.Happen(TrialPaused{"s-0"});
    c.End("a", "s-0", v1::ATTEMPT_OUTCOME_STOPPED);
    c.Happen(TrialResumed{"s-0"});
    c.RunOn("a", "s-0");
  }
  static v1::RankEvent Bad(const std::string& path) {
    v1::RankEvent event;
    event.mutable_checkpoint_bad()->set_path(path);
    return event;
  }
  // The rank finds the checkpoint that it was to resume from damaged, and ends.
  void FindBad() {
    c.Happen(c.Batch("a", "s-0", {Bad("/mnt/artifacts/" + c.LastAttempt("s-0").resume_from())}));
    c.Fail("a", "s-0", v1::FAILURE_CAUSE_IO);
  }

  Cluster c;
};

TEST_F(BadCheckpoint, TheTrialGoesOnFromTheOneBeforeAtOnceAndLosesNoTry) {
  ASSERT_EQ(c.LastAttempt("s-0").resume_step(), 10);
  FindBad();
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_STARTING);
  EXPECT_EQ(c.LastAttempt("s-0").resume_step(), 5);
  EXPECT_TRUE(c.Trial("s-0").checkpoints(1).bad());
  EXPECT_FALSE(c.Trial("s-0").checkpoints(0).bad());
  EXPECT_EQ(c.Trial("s-0").retries(), 0);
  // It says nothing against the worker.
  EXPECT_THAT(c.state.workers.at("a").worker.failed_trial_ids(), IsEmpty());
}

TEST_F(BadCheckpoint, IsStillBadAfterARestart) {
  c.Happen(c.Batch("a", "s-0", {Bad("/mnt/artifacts/" + c.LastAttempt("s-0").resume_from())}));
  EXPECT_THAT(c.last.changes.trials, ElementsAre("s-0"));
  c.Restart();
  v1::Hello hello = Cluster::Hello("a", 1);
  *hello.add_attempts() = c.Status("s-0", v1::ATTEMPT_PHASE_RUNNING);
  c.Connect(hello);
  c.Fail("a", "s-0", v1::FAILURE_CAUSE_IO);
  EXPECT_EQ(c.LastAttempt("s-0").resume_step(), 5);
}

TEST_F(BadCheckpoint, WhenAllAreBadTheTrialStartsAnew) {
  FindBad();
  c.RunOn("a", "s-0");
  FindBad();
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_STARTING);
  EXPECT_EQ(c.LastAttempt("s-0").resume_from(), "");
}

TEST_F(BadCheckpoint, OfARankOtherThanTheFirstCountsToo) {
  RankEventsReceived event = c.Batch("a", "s-0", {Bad("/mnt/" + c.LastAttempt("s-0").resume_from())});
  v1::RankPlacement second = c.LastAttempt("s-0").ranks(0);
  second.set_rank(1);
  *c.Trial("s-0").mutable_attempts()->rbegin()->add_ranks() = second;
  event.batch.set_rank(1);
  c.Happen(event);
  EXPECT_TRUE(c.Trial("s-0").checkpoints(1).bad());
}

TEST_F(BadCheckpoint, AnotherTrialsPathMarksNothing) {
  c.Happen(
      c.Batch("a", "s-0", {Bad("/mnt/artifacts/trials/s-uids/1/3-1/checkpoints/step-10"), Bad("step-10")}));
  EXPECT_FALSE(c.Trial("s-0").checkpoints(1).bad());
}

TEST_F(BadCheckpoint, TwoGoodOnesAreKeptBesideIt) {
  FindBad();
  c.RunOn("a", "s-0");
  c.Happen(c.Batch("a", "s-0", {Cluster::Checkpoint(10)}));
  EXPECT_THAT(c.last.commands, IsEmpty());  // of steps 5, 10 (bad), 10
  c.Happen(c.Batch("a", "s-0", {Cluster::Checkpoint(15)}));
  EXPECT_THAT(c.SentTo("a"), ElementsAre("delete trials/s-uids/0/3-1/checkpoints/step-5"));
  EXPECT_EQ(c.Trial("s-0").checkpoints_size(), 2);  // the bad one went as well
}

}  // namespace
}  // namespace mixln::coordinator::control
