// Pausing, resuming, trying again, draining, pruning, and what is kept.
#include <gmock/gmock.h>

#include "cluster.h"

namespace mixln::coordinator::control {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// One running trial on worker a.
struct Running : Cluster {
  explicit Running(int slots = 1) {
    Connect("a", slots);
    Submit("s", 1);
    RunOn("a", "s-0");
  }
  void Save(int64_t step) { Happen(Batch("a", "s-0", {Checkpoint(step)})); }
  // Time passes with a heartbeat every 5 s, and ends with a tick.
  void KeepAlive(int seconds) {
    for (; seconds > 0; seconds -= 5) {
      Beat("a", {});
      Pass(5);
    }
  }
};

TEST(Pause, AWaitingTrialIsPausedAtOnceAndNotPlaced) {
  Cluster c;
  c.Submit("s", 1);
  c.Happen(TrialPaused{"s-0"});
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_PAUSED);
  c.Connect("a", 1);
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_PAUSED);
  EXPECT_EQ(c.state.sweeps.at("s").counts().paused(), 1);
}

TEST(Pause, ARunningTrialStopsWithACheckpointFirst) {
  Running c;
  c.Happen(TrialPaused{"s-0"});
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_STOPPING);
  EXPECT_THAT(c.SentTo("a"), ElementsAre("stop s-0 3-1 checkpoint"));
  c.Save(7);
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_PAUSED);
  EXPECT_EQ(c.Trial("s-0").reason(), "paused with a checkpoint of step 7");
  EXPECT_FALSE(c.Trial("s-0").pause_requested());
}

TEST(Pause, OneThatFinishesFirstHasSucceeded) {
  Running c;
  c.Happen(TrialPaused{"s-0"});
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_FINISHED);
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_SUCCEEDED);
}

TEST(Pause, SurvivesARestartOfTheCoordinator) {
  Running c;
  c.Happen(TrialPaused{"s-0"});
  c.Restart();
  v1::Hello hello = Cluster::Hello("a", 1);
  *hello.add_attempts() = c.Status("s-0", v1::ATTEMPT_PHASE_RUNNING);
  c.Connect(hello);
  EXPECT_THAT(c.SentTo("a"), Contains("stop s-0 3-1 checkpoint"));
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_PAUSED);
}

TEST(Pause, AnEndedTrialIsRefused) {
  Running c;
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_FINISHED);
  c.Happen(TrialPaused{"s-0"});
  EXPECT_EQ(c.last.outcome.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(c.last.changes.empty());
  EXPECT_EQ(c.Happen(TrialPaused{"x-0"}).outcome.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(c.Happen(SweepPaused{"s"}).outcome.code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Pause, APausedTrialCanBeCancelled) {
  Cluster c;
  c.Submit("s", 1);
  c.Happen(TrialPaused{"s-0"});
  c.Happen(TrialCancelled{"s-0"});
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_CANCELLED);
}

TEST(Resume, GoesOnFromTheLastAcceptedCheckpoint) {
  Running c;
  c.Happen(SweepPaused{"s"});
  c.Save(7);
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_STOPPED);
  c.Happen(SweepResumed{"s"});
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_STARTING);
  EXPECT_EQ(c.LastAttempt("s-0").resume_step(), 7);
  EXPECT_EQ(c.LastAttempt("s-0").resume_from(), "trials/s-uids/0/3-1/checkpoints/step-7");
}

TEST(Resume, OnlyWhatIsPaused) {
  Running c;
  EXPECT_EQ(c.Happen(TrialResumed{"s-0"}).outcome.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(c.Happen(SweepResumed{"s"}).outcome.code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Resume, OneThatIsStillBeingPausedGoesOnWhenItsRanksHaveEnded) {
  Running c;
  c.Trial("s-0").mutable_spec()->mutable_retry()->set_max_retries(0);
  c.Happen(SweepPaused{"s"});
  c.Happen(SweepResumed{"s"});
  EXPECT_TRUE(c.last.outcome.ok()) << c.last.outcome;
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_STOPPING);
  c.Save(7);
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_STARTING);
  EXPECT_EQ(c.LastAttempt("s-0").resume_step(), 7);
  EXPECT_EQ(c.Trial("s-0").retries(), 0);
}

TEST(Resume, TheLastWordOfSeveralCounts) {
  Running c;
  c.Happen(TrialPaused{"s-0"});
  c.Happen(TrialResumed{"s-0"});
  c.Happen(TrialPaused{"s-0"});
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_PAUSED);
  EXPECT_FALSE(c.Trial("s-0").resume_requested());
}

TEST(Resume, OneThatIsBeingCancelledIsRefused) {
  Running c;
  c.Happen(TrialPaused{"s-0"});
  c.Happen(TrialCancelled{"s-0"});
  EXPECT_EQ(c.Happen(TrialResumed{"s-0"}).outcome.code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Retry, MakesANewTrialOfAFailedOneOnceAndTheSweepGoesOn) {
  Running c;
  c.Fail("a", "s-0", v1::FAILURE_CAUSE_OUT_OF_MEMORY);
  ASSERT_TRUE(c.state.sweeps.at("s").has_end_time());
  c.Happen(SweepRetried{"s"});
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_FAILED);
  EXPECT_EQ(c.Trial("s-1").retry_of(), "s-0");
  EXPECT_EQ(c.StateOf("s-1"), v1::TRIAL_STATE_STARTING);
  EXPECT_FALSE(c.state.sweeps.at("s").has_end_time());
  EXPECT_EQ(c.state.sweeps.at("s").counts().failed(), 0);  // the new one counts instead
  EXPECT_EQ(c.state.sweeps.at("s").counts().superseded(), 1);
  EXPECT_EQ(c.Happen(SweepRetried{"s"}).outcome.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(c.Happen(TrialRetried{"s-0"}).outcome.ok());  // the same answer, no second trial
  EXPECT_EQ(c.state.trials.size(), 2U);
}

TEST(Retry, AFailedRetryIsTriedAgainAndOnlyTheNewestCounts) {
  Running c;
  c.Fail("a", "s-0", v1::FAILURE_CAUSE_OUT_OF_MEMORY);
  c.Happen(SweepRetried{"s"});
  c.RunOn("a", "s-1");
  c.Fail("a", "s-1", v1::FAILURE_CAUSE_OUT_OF_MEMORY);
  c.Happen(SweepRetried{"s"});
  EXPECT_EQ(c.Trial("s-2").retry_of(), "s-1");
  EXPECT_EQ(c.state.trials.size(), 3U);
  c.RunOn("a", "s-2");
  c.End("a", "s-2", v1::ATTEMPT_OUTCOME_FINISHED);
  const v1::TrialCounts& counts = c.state.sweeps.at("s").counts();
  EXPECT_EQ(counts.succeeded(), 1);
  EXPECT_EQ(counts.failed(), 0);
  EXPECT_EQ(counts.superseded(), 2);
  EXPECT_TRUE(c.state.sweeps.at("s").has_end_time());
}

TEST(Retry, ASucceededTrialIsRefused) {
  Running c;
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_FINISHED);
  EXPECT_EQ(c.Happen(TrialRetried{"s-0"}).outcome.code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Drain, RunningRanksStopWithACheckpointAndGoElsewhereUncounted) {
  Running c;
  c.Trial("s-0").mutable_spec()->mutable_retry()->set_max_retries(0);
  c.Happen(WorkerDrained{"a", false, "new disk"});
  EXPECT_THAT(c.SentTo("a"), ElementsAre("stop s-0 3-1 checkpoint"));
  EXPECT_EQ(c.state.workers.at("a").worker.reason(), "drained by a user: new disk");
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(c.LastAttempt("s-0").cause(), v1::FAILURE_CAUSE_PREEMPTED);
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_PENDING);
  EXPECT_EQ(c.Trial("s-0").retries(), 0);
  c.Connect("b", 1);
  EXPECT_EQ(c.LastAttempt("s-0").ranks(0).worker_id(), "b");
}

TEST(Drain, LastsUntilItIsUndone) {
  Cluster c;
  c.Connect("a", 1);
  c.Happen(WorkerDrained{"a", false, ""});
  c.Beat("a", {});
  c.Restart();
  c.Connect("a", 1);
  c.Submit("s", 1);
  EXPECT_EQ(c.state.workers.at("a").worker.state(), v1::WORKER_STATE_DRAINING);
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_PENDING);
  c.Happen(WorkerDrained{"a", true, ""});
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_STARTING);
  EXPECT_EQ(c.state.workers.at("a").worker.reason(), "");
}

TEST(Drain, AnUnknownWorkerIsNotFound) {
  Cluster c;
  EXPECT_EQ(c.Happen(WorkerDrained{"x", false, ""}).outcome.code(), absl::StatusCode::kNotFound);
}

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

TEST(Retention, KeepsAsManyCheckpointsAsTheSweepAsksFor) {
  Running c;
  c.state.sweeps.at("s").mutable_spec()->mutable_retention()->set_checkpoints(3);
  for (const int64_t step : {1, 2, 3}) c.Save(step);
  EXPECT_THAT(c.last.commands, IsEmpty());
  c.Save(4);
  EXPECT_THAT(c.SentTo("a"), ElementsAre("delete trials/s-uids/0/3-1/checkpoints/step-1"));
}

TEST(Retention, DeletesTheFolderOfATrialWhoseTimeIsOverOnce) {
  Running c;
  c.state.sweeps.at("s").mutable_spec()->mutable_retention()->set_seconds_after_end(60);
  c.Save(5);
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_FINISHED);
  c.Pass(5);
  EXPECT_THAT(c.Trial("s-0").checkpoints(), Not(IsEmpty()));
  c.KeepAlive(55);
  EXPECT_THAT(c.SentTo("a"), ElementsAre("delete trials/s-uids/0"));
  EXPECT_THAT(c.Trial("s-0").checkpoints(), IsEmpty());
  EXPECT_TRUE(c.last.changes.trials.contains("s-0"));
  c.KeepAlive(5);
  EXPECT_THAT(c.last.commands, IsEmpty());
}

// Its first order may have been lost with the stream.
TEST(Retention, IsToldToAWorkerAgainWhenItComesBack) {
  Running c;
  c.state.sweeps.at("s").mutable_spec()->mutable_retention()->set_seconds_after_end(60);
  c.Save(5);
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_FINISHED);
  c.KeepAlive(60);
  c.Connect(Cluster::Hello("a", 1, 2));
  c.Pass(1);
  EXPECT_THAT(c.SentTo("a"), ElementsAre("delete trials/s-uids/0"));
}

TEST(Retention, KeepsWhatAnUnfinishedTrialGoesOnFrom) {
  Running c;
  c.state.sweeps.at("s").mutable_spec()->mutable_retention()->set_seconds_after_end(60);
  c.Save(5);
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_FINISHED);
  v1::Trial& heir = c.state.trials["s-9"] = c.Trial("s-0");
  heir.set_id("s-9");
  heir.set_state(v1::TRIAL_STATE_PAUSED);
  c.KeepAlive(60);
  EXPECT_THAT(c.last.commands, IsEmpty());
  EXPECT_THAT(c.Trial("s-0").checkpoints(), Not(IsEmpty()));
}

TEST(Retention, WaitsForAWorkerThatCanDelete) {
  Running c;
  c.state.sweeps.at("s").mutable_spec()->mutable_retention()->set_seconds_after_end(60);
  c.Save(5);
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_FINISHED);
  c.Disconnect("a");
  c.Pass(100);
  EXPECT_THAT(c.Trial("s-0").checkpoints(), Not(IsEmpty()));
}

}  // namespace
}  // namespace mixln::coordinator::control
