// Trials that a search strategy ends early.
#include <gmock/gmock.h>

#include "cluster.h"

namespace mixln::coordinator::control {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::RankEvent Evaluated(int64_t step, double loss) {
  v1::RankEvent event;
  event.set_step(step);
  event.mutable_eval_done()->set_loss(loss);
  return event;
}

// Two trials side by side, compared after 10 and 40 of 100 steps.
struct Halving : Cluster {
  Halving() {
    SweepSubmitted sweep = Sweep("s", 2);
    v1::SearchSpec& search = *sweep.sweep.mutable_spec()->mutable_sweep();
    search.set_strategy(v1::STRATEGY_ASHA);
    search.mutable_asha()->set_min_steps(10);
    search.mutable_asha()->set_reduction_factor(4);
    Connect("a", 2);
    Happen(sweep);
    RunOn("a", "s-0");
    RunOn("a", "s-1");
    Happen(Batch("a", "s-0", {Evaluated(10, 4.0)}));
  }
};

TEST(Prune, TheWorseOfTwoStopsWithACheckpointAndIsPruned) {
  Halving c;
  EXPECT_THAT(c.last.commands, IsEmpty());
  c.Happen(c.Batch("a", "s-1", {Evaluated(10, 5.0)}));
  EXPECT_THAT(c.SentTo("a"), ElementsAre("stop s-1 3-2 checkpoint"));
  c.End("a", "s-1", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(c.StateOf("s-1"), v1::TRIAL_STATE_PRUNED);
  EXPECT_THAT(c.Trial("s-1").reason(), HasSubstr("number 2 of 2"));
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_RUNNING);
}

TEST(Prune, ARestartInTheMiddleChangesNoDecision) {
  Halving straight;
  straight.Happen(straight.Batch("a", "s-1", {Evaluated(10, 5.0)}));
  Halving c;
  c.Restart();
  v1::Hello hello = Cluster::Hello("a", 2);
  *hello.add_attempts() = c.Status("s-0", v1::ATTEMPT_PHASE_RUNNING);
  *hello.add_attempts() = c.Status("s-1", v1::ATTEMPT_PHASE_RUNNING);
  c.Connect(hello);
  c.Happen(c.Batch("a", "s-1", {Evaluated(10, 5.0)}));
  EXPECT_EQ(c.StateOf("s-1"), v1::TRIAL_STATE_STOPPING);
  EXPECT_EQ(c.Trial("s-1").reason(), straight.Trial("s-1").reason());
  c.Restart();  // between the verdict and the end
  c.Connect(hello);
  EXPECT_THAT(c.SentTo("a"), Contains("stop s-1 3-2 checkpoint"));
  c.End("a", "s-1", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(c.StateOf("s-1"), v1::TRIAL_STATE_PRUNED);
  EXPECT_EQ(c.Trial("s-1").reason(), straight.Trial("s-1").reason());
}

TEST(Prune, ARungThatIsPassedASecondTimeIsNotJudgedAgain) {
  Halving c;
  c.Happen(c.Batch("a", "s-1", {Evaluated(10, 3.0)}));
  c.Happen(c.Batch("a", "s-0", {Evaluated(10, 4.0)}));  // after a resume from before step 10
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_RUNNING);
  EXPECT_EQ(c.Trial("s-0").rungs_size(), 1);
}

TEST(Prune, ResumingAPrunedTrialMakesANewOneFromItsLastCheckpointThatIsNotJudged) {
  Halving c;
  c.Happen(c.Batch("a", "s-1", {Evaluated(10, 5.0), Cluster::Checkpoint(10)}));
  c.End("a", "s-1", v1::ATTEMPT_OUTCOME_STOPPED);
  c.Happen(TrialResumed{"s-1"});
  EXPECT_EQ(c.StateOf("s-1"), v1::TRIAL_STATE_PRUNED);
  EXPECT_EQ(c.Trial("s-2").retry_of(), "s-1");
  EXPECT_EQ(c.LastAttempt("s-2").resume_step(), 10);
  EXPECT_THAT(c.LastAttempt("s-2").resume_from(), HasSubstr("trials/s-uids/1/"));
  c.RunOn("a", "s-2");
  c.Happen(c.Batch("a", "s-2", {Evaluated(40, 9.0)}));
  EXPECT_EQ(c.StateOf("s-2"), v1::TRIAL_STATE_RUNNING);
  // What it took over is let go of, and never deleted: it is the pruned trial's.
  c.Happen(c.Batch("a", "s-2", {Cluster::Checkpoint(40)}));
  c.Happen(c.Batch("a", "s-2", {Cluster::Checkpoint(50)}));
  EXPECT_EQ(c.Trial("s-2").checkpoints_size(), 2);
  EXPECT_THAT(c.last.commands, IsEmpty());
}

}  // namespace
}  // namespace mixln::coordinator::control
