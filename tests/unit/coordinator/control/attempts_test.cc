// The life of an attempt: gang start, its end, and what becomes of the trial.
#include <gmock/gmock.h>

#include "cluster.h"

namespace mixln::coordinator::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Two ranks, one on each of the workers a and b; both reserved and, with rank 0's rendezvous, running.
class GangTest : public ::testing::Test {
 protected:
  GangTest() {
    c_.Connect("a", 1);
    c_.Connect("b", 1);
    c_.Submit("g", 1, 2);
  }
  void RunBoth() {
    c_.Report("a", "g-0", v1::ATTEMPT_PHASE_RESERVED, "host-a:7");
    c_.Report("b", "g-0", v1::ATTEMPT_PHASE_RESERVED);
    c_.Report("a", "g-0", v1::ATTEMPT_PHASE_RUNNING);
    c_.Report("b", "g-0", v1::ATTEMPT_PHASE_RUNNING);
  }
  Cluster c_;
};

TEST_F(GangTest, EveryWorkerIsAskedToReserveUnderTheNextEpoch) {
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("reserve g-0 3-1"));
  EXPECT_THAT(c_.SentTo("b"), ElementsAre("reserve g-0 3-1"));
  EXPECT_TRUE(c_.last.changes.epoch);
  EXPECT_EQ(c_.state.last_epoch, 1U);
  EXPECT_EQ(c_.StateOf("g-0"), v1::TRIAL_STATE_STARTING);
}

TEST_F(GangTest, AReserveCarriesItsOwnRanksAndTheLabels) {
  const v1::Reserve& reserve = c_.last.commands.at(1).message.reserve();
  ASSERT_EQ(reserve.ranks_size(), 1);
  EXPECT_EQ(reserve.ranks(0).worker_id(), "b");
  EXPECT_EQ(reserve.ranks(0).rank(), 1);
  EXPECT_EQ(reserve.world_size(), 2);
  EXPECT_EQ(reserve.trial_dir(), "trials/g-uidg/0");
  EXPECT_EQ(reserve.labels().placement(), "mix");
  EXPECT_EQ(reserve.labels().alpha(), "0.25");
}

TEST_F(GangTest, StartWaitsForAllAndCarriesTheRendezvous) {
  c_.Report("a", "g-0", v1::ATTEMPT_PHASE_RESERVED, "host-a:7");
  EXPECT_THAT(c_.last.commands, IsEmpty());
  c_.Report("b", "g-0", v1::ATTEMPT_PHASE_RESERVED);
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("start g-0 host-a:7"));
  EXPECT_THAT(c_.SentTo("b"), ElementsAre("start g-0 host-a:7"));
}

TEST_F(GangTest, RunsWhenAllRanksRun) {
  RunBoth();
  EXPECT_EQ(c_.StateOf("g-0"), v1::TRIAL_STATE_RUNNING);
  EXPECT_TRUE(c_.LastAttempt("g-0").confirmed());
  EXPECT_TRUE(c_.Trial("g-0").has_start_time());
}

TEST_F(GangTest, SucceedsOnlyWhenAllPartsHaveFinished) {
  RunBoth();
  c_.End("a", "g-0", v1::ATTEMPT_OUTCOME_FINISHED);
  EXPECT_EQ(c_.StateOf("g-0"), v1::TRIAL_STATE_RUNNING);
  c_.End("b", "g-0", v1::ATTEMPT_OUTCOME_FINISHED);
  EXPECT_EQ(c_.StateOf("g-0"), v1::TRIAL_STATE_SUCCEEDED);
  EXPECT_TRUE(c_.state.live.empty());
}

TEST_F(GangTest, OneFailureStopsAllPartsAndTheNextTryWaitsForTheirEnd) {
  RunBoth();
  c_.Fail("a", "g-0", v1::FAILURE_CAUSE_TRAINER_CRASH);
  EXPECT_THAT(c_.SentTo("b"), ElementsAre("stop g-0 3-1 now"));
  EXPECT_EQ(c_.StateOf("g-0"), v1::TRIAL_STATE_STOPPING);
  c_.Pass(1);
  EXPECT_EQ(c_.Trial("g-0").attempts_size(), 1);
  c_.End("b", "g-0", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(c_.StateOf("g-0"), v1::TRIAL_STATE_PENDING);
  EXPECT_EQ(c_.LastAttempt("g-0").cause(), v1::FAILURE_CAUSE_TRAINER_CRASH);
}

TEST_F(GangTest, ALostPeerIsNotTheCauseWhenThePeerSaysItsOwn) {
  RunBoth();
  c_.Fail("a", "g-0", v1::FAILURE_CAUSE_PEER_LOST);
  c_.Fail("b", "g-0", v1::FAILURE_CAUSE_OUT_OF_MEMORY);
  EXPECT_EQ(c_.StateOf("g-0"), v1::TRIAL_STATE_FAILED);
  EXPECT_THAT(c_.Trial("g-0").reason(), HasSubstr("out of memory: no luck"));
}

TEST_F(GangTest, PreparingExtendsTheDeadlineAndShowsAsThePhase) {
  c_.Pass(7);
  v1::AttemptReport report = c_.ReportOf("g-0", v1::ATTEMPT_PHASE_PREPARING);
  report.set_detail("tokenizing 43%");
  c_.options.lease = base::Seconds(10000);
  c_.Beat("a", {});
  c_.Beat("b", {});
  c_.Pass(110);
  c_.Report("a", report);
  EXPECT_EQ(c_.Trial("g-0").progress().phase(), "tokenizing 43%");
  c_.Pass(119);
  EXPECT_EQ(c_.StateOf("g-0"), v1::TRIAL_STATE_STARTING);
  c_.Pass(1);
  EXPECT_EQ(c_.StateOf("g-0"), v1::TRIAL_STATE_STOPPING);
  EXPECT_EQ(c_.LastAttempt("g-0").cause(), v1::FAILURE_CAUSE_START_TIMEOUT);
  EXPECT_THAT(c_.LastAttempt("g-0").message(), HasSubstr("worker a is preparing, worker b said nothing"));
}

TEST_F(GangTest, AGangThatLosesAWorkerStopsTheRestAndGoesOnElsewhereWhenThatHasEnded) {
  RunBoth();
  c_.Connect("c", 1);
  for (int i = 0; i < 2; ++i) {
    c_.Pass(5);
    c_.Beat("a", {c_.Status("g-0", v1::ATTEMPT_PHASE_RUNNING)});
    c_.Beat("c", {});
  }
  EXPECT_EQ(c_.state.workers.at("b").worker.state(), v1::WORKER_STATE_LOST);
  EXPECT_EQ(c_.StateOf("g-0"), v1::TRIAL_STATE_STOPPING);
  c_.End("a", "g-0", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("reserve g-0 3-2"));
  EXPECT_THAT(c_.SentTo("c"), ElementsAre("reserve g-0 3-2"));
}

// One rank on one worker.
class SingleTest : public ::testing::Test {
 protected:
  SingleTest() {
    c_.Connect("a", 1);
    c_.Submit("s", 1);
  }
  Cluster c_;
};

TEST_F(SingleTest, FailuresWithoutACureEndTheTrial) {
  c_.RunOn("a", "s-0");
  c_.Fail("a", "s-0", v1::FAILURE_CAUSE_DATA_ERROR);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_FAILED);
  EXPECT_EQ(c_.Trial("s-0").reason(), "data error: no luck");
}

TEST_F(SingleTest, Promise9ADivergedTrialIsAResultAndNeverTriedAgain) {
  c_.RunOn("a", "s-0");
  c_.Happen(c_.Batch("a", "s-0", {Cluster::StepDone(7, 9.5)}));
  c_.End("a", "s-0", v1::ATTEMPT_OUTCOME_DIVERGED, v1::FAILURE_CAUSE_DIVERGED, "the loss is NaN at step 7");
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_DIVERGED);
  EXPECT_EQ(c_.Trial("s-0").reason(), "diverged: the loss is NaN at step 7");
  EXPECT_EQ(c_.Trial("s-0").progress().step(), 7);
  // Neither time nor a restart nor a worker with a free slot nor a user makes it train again.
  c_.Pass(1000);
  c_.Restart();
  c_.Connect(Cluster::Hello("a", 1, 2));
  c_.Pass(1000);
  EXPECT_EQ(c_.Happen(TrialRetried{"s-0"}).outcome.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(c_.Happen(SweepRetried{"s"}).outcome.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_DIVERGED);
  EXPECT_EQ(c_.Trial("s-0").attempts_size(), 1);
  EXPECT_EQ(c_.state.trials.size(), 1U);
}

TEST_F(SingleTest, ACrashIsTriedAgainAfterABackoffUntilTheRetriesAreUsedUp) {
  c_.options.lease = base::Seconds(10000);
  c_.Beat("a", {});
  for (int retry = 1; retry <= 2; ++retry) {
    c_.Fail("a", "s-0", v1::FAILURE_CAUSE_TRAINER_CRASH);
    EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_PENDING);
    EXPECT_EQ(c_.Trial("s-0").retries(), retry);
    c_.Pass(3.9);  // 5 s less at most a fifth
    EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_PENDING);
    c_.Pass(6.2);  // the second wait is at most 10 s
    EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_STARTING);
  }
  c_.Fail("a", "s-0", v1::FAILURE_CAUSE_TRAINER_CRASH);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_FAILED);
  EXPECT_EQ(c_.Trial("s-0").reason(), "trainer crash: no luck (after 2 retries without progress)");
}

TEST_F(SingleTest, AStandstillOfTheCoordinatorIsNotTimeToStart) {
  c_.options.lease = base::Seconds(10000);
  c_.Beat("a", {});
  c_.StandStill(300);
  c_.Pass(119);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_STARTING);
  c_.Pass(1);
  EXPECT_EQ(c_.LastAttempt("s-0").cause(), v1::FAILURE_CAUSE_START_TIMEOUT);
}

TEST_F(SingleTest, AcceptedProgressResetsTheCount) {
  c_.RunOn("a", "s-0");
  c_.Trial("s-0").set_retries(2);
  c_.Happen(c_.Batch("a", "s-0", {Cluster::Checkpoint(10)}));
  c_.Fail("a", "s-0", v1::FAILURE_CAUSE_TRAINER_CRASH);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_PENDING);
  EXPECT_EQ(c_.Trial("s-0").retries(), 1);
}

TEST_F(SingleTest, APreemptedTrialIsTriedAtOnceAndCountedOnlyWithoutProgress) {
  c_.RunOn("a", "s-0");
  c_.Fail("a", "s-0", v1::FAILURE_CAUSE_PREEMPTED);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_STARTING);
  EXPECT_EQ(c_.Trial("s-0").retries(), 1);
  c_.RunOn("a", "s-0");
  c_.Happen(c_.Batch("a", "s-0", {Cluster::Checkpoint(10)}));
  c_.Fail("a", "s-0", v1::FAILURE_CAUSE_PREEMPTED);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_STARTING);
  EXPECT_EQ(c_.Trial("s-0").retries(), 0);
}

TEST_F(SingleTest, TheNextAttemptResumesFromTheLastAcceptedCheckpoint) {
  c_.RunOn("a", "s-0");
  c_.Happen(c_.Batch("a", "s-0", {Cluster::Checkpoint(10)}));
  c_.Fail("a", "s-0", v1::FAILURE_CAUSE_PREEMPTED);
  EXPECT_EQ(c_.LastAttempt("s-0").resume_from(), "trials/s-uids/0/3-1/checkpoints/step-10");
  EXPECT_EQ(c_.LastAttempt("s-0").resume_step(), 10);
  EXPECT_EQ(c_.LastAttempt("s-0").fence().epoch(), 2U);
}

TEST_F(SingleTest, AReportOfAnOlderFenceChangesNothingAndIsAnsweredWithStop) {
  c_.RunOn("a", "s-0");
  v1::AttemptReport old = c_.ReportOf("s-0", v1::ATTEMPT_PHASE_RUNNING);
  c_.Fail("a", "s-0", v1::FAILURE_CAUSE_PREEMPTED);
  c_.Report("a", old);
  EXPECT_TRUE(c_.last.changes.empty());
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("stop s-0 3-1 now"));
}

TEST_F(SingleTest, TheEndOfAnUnknownFenceIsNotAnswered) {
  v1::AttemptReport unknown = c_.ReportOf("s-0", v1::ATTEMPT_PHASE_ENDED);
  unknown.mutable_fence()->set_epoch(99);
  c_.Report("a", unknown);
  EXPECT_THAT(c_.last.commands, IsEmpty());
  EXPECT_TRUE(c_.last.changes.empty());
}

TEST_F(SingleTest, MaxRuntimeEndsWhatTrainsTooLong) {
  c_.options.lease = base::Seconds(10000);
  c_.Trial("s-0").mutable_spec()->mutable_limits()->set_max_runtime_seconds(60);
  c_.Beat("a", {});
  c_.RunOn("a", "s-0");
  c_.Pass(59);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_RUNNING);
  c_.Pass(1);
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("stop s-0 3-1 checkpoint"));
  c_.End("a", "s-0", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_FAILED);
  EXPECT_DOUBLE_EQ(c_.Trial("s-0").train_seconds(), 60);
}

TEST_F(SingleTest, AStopThatIsNotHeededIsRepeated) {
  c_.options.lease = base::Seconds(10000);
  c_.Beat("a", {});
  c_.RunOn("a", "s-0");
  c_.Happen(TrialCancelled{"s-0"});
  c_.Pass(60);
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("stop s-0 3-1 now"));
}

TEST_F(SingleTest, ATerminalStateNeverChanges) {
  c_.Happen(TrialCancelled{"s-0"});
  c_.End("a", "s-0", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_THROW(state::SetTrialState(c_.state, c_.Trial("s-0"), v1::TRIAL_STATE_PENDING, c_.now.wall),
               std::logic_error);
}

}  // namespace
}  // namespace mixln::coordinator::control
