// Pausing, resuming, trying again and draining.
#include <gmock/gmock.h>

#include "running.h"

namespace mixln::coordinator::control {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

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

}  // namespace
}  // namespace mixln::coordinator::control
