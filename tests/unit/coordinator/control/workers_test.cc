// Sessions, leases, reconciling, what ranks recorded, and restarts.
#include <gmock/gmock.h>

#include "cluster.h"

namespace mixln::coordinator::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One trial of one rank that runs on worker a.
class WorkerTest : public ::testing::Test {
 protected:
  WorkerTest() {
    c_.Connect("a", 1);
    c_.Submit("s", 1);
    c_.RunOn("a", "s-0");
  }
  // a connects again and says that it has these attempts.
  const Decision& Return(const std::vector<v1::AttemptStatus>& attempts, uint64_t instance = 2) {
    v1::Hello hello = Cluster::Hello("a", 1, instance);
    for (const v1::AttemptStatus& attempt : attempts) *hello.add_attempts() = attempt;
    return c_.Connect(hello);
  }
  Cluster c_;
};

TEST_F(WorkerTest, AnEqualInstanceIsRefusedWhileASessionIsAlive) {
  Return({}, 1);
  EXPECT_EQ(c_.last.outcome.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(c_.last.close_session);
  EXPECT_EQ(c_.SessionOf("a"), 1U);
}

TEST_F(WorkerTest, AGreaterInstanceTakesTheOldSessionsPlace) {
  Return({c_.Status("s-0", v1::ATTEMPT_PHASE_RUNNING)}, 2);
  EXPECT_TRUE(c_.last.outcome.ok());
  EXPECT_EQ(c_.last.replaced_session, 1U);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_RUNNING);
}

TEST_F(WorkerTest, AnOlderInstanceIsRefused) {
  Return({c_.Status("s-0", v1::ATTEMPT_PHASE_RUNNING)}, 2);
  Return({}, 1);
  EXPECT_EQ(c_.last.outcome.code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(WorkerTest, ATermThatWasNeverReachedShowsAnOldBackup) {
  v1::Hello hello = Cluster::Hello("b", 1);
  hello.set_highest_term(4);
  c_.Connect(hello);
  EXPECT_EQ(c_.last.outcome.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(c_.last.outcome.message()), HasSubstr("runs on an old copy of its state"));
  EXPECT_FALSE(c_.state.workers.contains("b"));
}

TEST_F(WorkerTest, OfAnotherClusterIsRefusedAndChangesNothing) {
  v1::Hello hello = Cluster::Hello("b", 1);
  hello.set_cluster_id("another");
  c_.Connect(hello);
  EXPECT_EQ(c_.last.outcome.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(c_.last.outcome.message()), HasSubstr("belongs to cluster another"));
  EXPECT_EQ(c_.last.refused, "other_cluster");
  EXPECT_TRUE(c_.last.changes.empty());
  EXPECT_FALSE(c_.state.workers.contains("b"));
  hello.set_cluster_id("cluster");
  EXPECT_TRUE(c_.Connect(hello).outcome.ok());
}

TEST_F(WorkerTest, OnlyThePreviousMinorOfReleaseZeroWorks) {
  c_.options.version = "0.3.0";
  v1::Hello hello = Cluster::Hello("b", 1);
  for (const auto& [version, works] : std::map<std::string, bool>{{"0.3.9", true},
                                                                  {"0.2.0", true},
                                                                  {"0.1.0", false},
                                                                  {"0.4.0", false},
                                                                  {"1.3.0", false},
                                                                  {"", false}}) {
    hello.set_version(version);
    hello.set_instance(hello.instance() + 1);
    EXPECT_EQ(c_.Connect(hello).outcome.ok(), works) << version;
  }
}

TEST_F(WorkerTest, AMessageOfAReplacedSessionChangesNothing) {
  const AttemptReported old{c_.SessionOf("a"), "a", c_.ReportOf("s-0", v1::ATTEMPT_PHASE_ENDED)};
  Return({c_.Status("s-0", v1::ATTEMPT_PHASE_RUNNING)});
  c_.Happen(old);
  EXPECT_EQ(c_.last.outcome.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(c_.last.refused, "stale_session");
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_RUNNING);
}

TEST_F(WorkerTest, AHeartbeatRenewsTheLeaseAndWritesNothing) {
  c_.Pass(7);
  c_.Beat("a", {c_.Status("s-0", v1::ATTEMPT_PHASE_RUNNING)});
  EXPECT_TRUE(c_.last.changes.empty());
  c_.Pass(7);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_RUNNING);
}

TEST_F(WorkerTest, ALeaseThatRunsOutLosesTheAttemptAndPlacesTheTrialElsewhereAtOnce) {
  c_.Pass(7);
  c_.Connect("b", 1);
  c_.Pass(1);
  EXPECT_EQ(c_.Trial("s-0").attempts(0).cause(), v1::FAILURE_CAUSE_WORKER_LOST);
  EXPECT_THAT(c_.SentTo("b"), ElementsAre("reserve s-0 3-2"));
}

TEST_F(WorkerTest, ALostWorkersOldRanksAreStoppedAndHoldTheirSlotUntilTheyHaveEnded) {
  const v1::AttemptStatus old = c_.Status("s-0", v1::ATTEMPT_PHASE_RUNNING);
  c_.Pass(8);
  c_.Beat("a", {old});
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("ack 0", "stop s-0 3-1 now"));
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_PENDING);
  v1::AttemptReport ended;
  ended.set_trial_id("s-0");
  *ended.mutable_fence() = old.fence();
  ended.set_phase(v1::ATTEMPT_PHASE_ENDED);
  c_.Report("a", ended);
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("reserve s-0 3-2"));
}

TEST_F(WorkerTest, AConfirmedAttemptThatIsMissingIsLost) {
  Return({});
  EXPECT_EQ(c_.Trial("s-0").attempts(0).cause(), v1::FAILURE_CAUSE_WORKER_LOST);
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("welcome keep=0", "reserve s-0 3-2"));
}

TEST_F(WorkerTest, AnEndedAttemptIsKeptUntilItSaysHowItEnded) {
  Return({c_.Status("s-0", v1::ATTEMPT_PHASE_ENDED)});
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("welcome keep=1"));
  c_.End("a", "s-0", v1::ATTEMPT_OUTCOME_FINISHED);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_SUCCEEDED);
}

TEST_F(WorkerTest, ADrainingWorkerGivesItsAttemptsBackWithACheckpoint) {
  c_.Beat("a", {c_.Status("s-0", v1::ATTEMPT_PHASE_RUNNING)}, true);
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("ack 0", "stop s-0 3-1 checkpoint"));
  c_.End("a", "s-0", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_PENDING);
  EXPECT_EQ(c_.LastAttempt("s-0").cause(), v1::FAILURE_CAUSE_PREEMPTED);
}

TEST(Reconcile, AnAssignedButUnconfirmedAttemptIsStartedAgainUnderTheSameFence) {
  Cluster c;
  c.Connect("a", 1);
  c.Submit("s", 1);
  c.Disconnect("a");
  c.Connect("a", 1);
  EXPECT_THAT(c.SentTo("a"), ElementsAre("welcome keep=0", "reserve s-0 3-1"));
}

TEST(Reconcile, WhatIsUnknownIsStoppedOnceAndAnEndedUnknownIsLeftAlone) {
  Cluster c;
  v1::Hello hello = Cluster::Hello("a", 1);
  for (v1::AttemptPhase phase : {v1::ATTEMPT_PHASE_RUNNING, v1::ATTEMPT_PHASE_ENDED}) {
    v1::AttemptStatus& status = *hello.add_attempts();
    status.set_trial_id("old-0");
    status.mutable_fence()->set_term(1);
    status.mutable_fence()->set_epoch(phase);
    status.set_phase(phase);
  }
  c.Connect(hello);
  EXPECT_THAT(c.SentTo("a"), ElementsAre("welcome keep=0", "stop old-0 1-3 now"));
}

TEST_F(WorkerTest, ARestartKeepsTheAttemptAndTheWorkerComesBackToIt) {
  c_.Restart();
  EXPECT_EQ(c_.state.workers.at("a").worker.state(), v1::WORKER_STATE_UNKNOWN);
  c_.Pass(29);
  Return({c_.Status("s-0", v1::ATTEMPT_PHASE_RUNNING)}, 1);
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("welcome keep=1"));
  EXPECT_EQ(c_.Trial("s-0").attempts_size(), 1);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_RUNNING);
}

TEST_F(WorkerTest, AWorkerThatDoesNotComeBackAfterARestartIsLost) {
  c_.Restart();
  c_.Pass(30);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_PENDING);
  EXPECT_THAT(c_.LastAttempt("s-0").message(),
              HasSubstr("did not come back after the coordinator's restart"));
}

TEST_F(WorkerTest, NobodyIsLostBecauseTheCoordinatorStoodStillUntilTheyHadTimeToComeBack) {
  c_.StandStill(3600);
  c_.Pass(29);
  EXPECT_EQ(c_.state.workers.at("a").worker.state(), v1::WORKER_STATE_READY);
  EXPECT_EQ(c_.StateOf("s-0"), v1::TRIAL_STATE_RUNNING);
  c_.Pass(1);
  EXPECT_EQ(c_.state.workers.at("a").worker.state(), v1::WORKER_STATE_LOST);
}

TEST_F(WorkerTest, AStreamThatEndedWhileTheCoordinatorStoodStillIsNotInTheNextOnesWay) {
  c_.StandStill(3600);  // nobody told that the old one has ended
  Return({c_.Status("s-0", v1::ATTEMPT_PHASE_RUNNING)}, 1);
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("welcome keep=1"));
  EXPECT_EQ(c_.last.replaced_session, 1U);
  EXPECT_EQ(c_.Trial("s-0").attempts_size(), 1);
}

TEST_F(WorkerTest, TheNewestTwoCheckpointsAreKeptAndOlderOnesDeleted) {
  c_.Happen(c_.Batch("a", "s-0", {Cluster::Checkpoint(10), Cluster::Checkpoint(20)}));
  EXPECT_THAT(c_.last.commands, IsEmpty());
  c_.Happen(c_.Batch("a", "s-0", {Cluster::Checkpoint(30)}));
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("delete trials/s-uids/0/3-1/checkpoints/step-10"));
  ASSERT_EQ(c_.Trial("s-0").checkpoints_size(), 2);
  EXPECT_EQ(c_.Trial("s-0").checkpoints(1).path(), "trials/s-uids/0/3-1/checkpoints/step-30");
}

TEST_F(WorkerTest, TheSameBatchTwiceChangesNothing) {
  const RankEventsReceived batch =
      c_.Batch("a", "s-0", {Cluster::Checkpoint(10), Cluster::Checkpoint(20), Cluster::Checkpoint(30)});
  c_.Happen(batch);
  const std::string once = c_.Trial("s-0").SerializeAsString();
  c_.Happen(batch);
  EXPECT_EQ(c_.Trial("s-0").SerializeAsString(), once);
  EXPECT_TRUE(c_.last.changes.empty());
  EXPECT_THAT(c_.last.commands, IsEmpty());
}

TEST_F(WorkerTest, StepsThatAreSaidAgainMoveNothingBack) {
  const RankEventsReceived first =
      c_.Batch("a", "s-0", {Cluster::StepDone(1, 5.0), Cluster::StepDone(2, 4.0)});
  RankEventsReceived second = c_.Batch("a", "s-0", {Cluster::StepDone(3, 3.0)});
  c_.Happen(first);
  c_.Happen(second);
  c_.Happen(first);
  EXPECT_TRUE(c_.last.outcome.ok()) << "their curves may not be on disk yet";
  EXPECT_EQ(c_.Trial("s-0").progress().step(), 3);
  EXPECT_EQ(c_.Trial("s-0").progress().loss(), 3.0);

  // One batch of events that are known and one that is new.
  const RankEventsReceived third = c_.Batch("a", "s-0", {Cluster::StepDone(4, 2.0)});
  second.batch.mutable_events()->MergeFrom(third.batch.events());
  c_.Happen(second);
  EXPECT_EQ(c_.Trial("s-0").progress().step(), 4);
}

TEST_F(WorkerTest, EventsAfterAGapChangeNothingAndEndTheStream) {
  c_.Happen(c_.Batch("a", "s-0", {Cluster::StepDone(1, 5.0)}));
  const RankEventsReceived missing = c_.Batch("a", "s-0", {Cluster::StepDone(2, 4.0)});
  const RankEventsReceived after = c_.Batch("a", "s-0", {Cluster::StepDone(3, 3.0), Cluster::Checkpoint(3)});
  RankEventsReceived torn = missing;
  *torn.batch.add_events() = after.batch.events(1);
  const std::string before = c_.Trial("s-0").SerializeAsString();
  for (const RankEventsReceived& batch : {after, torn}) {
    c_.Happen(batch);
    EXPECT_EQ(c_.last.outcome.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(c_.last.refused, "out_of_order");
    EXPECT_TRUE(c_.last.close_session);
    EXPECT_TRUE(c_.last.changes.empty());
    EXPECT_EQ(c_.Trial("s-0").SerializeAsString(), before);
  }
  c_.Happen(missing);
  c_.Happen(after);
  EXPECT_EQ(c_.Trial("s-0").progress().step(), 3);
  EXPECT_EQ(c_.Trial("s-0").checkpoints_size(), 1);
}

TEST_F(WorkerTest, EachRanksEventsAreCountedByThemselves) {
  v1::RankPlacement second = c_.LastAttempt("s-0").ranks(0);
  second.set_rank(1);
  *c_.Trial("s-0").mutable_attempts(0)->add_ranks() = second;
  RankEventsReceived of_one = c_.Batch("a", "s-0", {Cluster::StepDone(1, 5.0)});
  of_one.batch.set_rank(1);
  c_.Happen(of_one);
  c_.Happen(c_.Batch("a", "s-0", {Cluster::StepDone(2, 4.0)}));  // event 2 of rank 0, whose first is missing
  EXPECT_EQ(c_.last.refused, "out_of_order");
}

TEST_F(WorkerTest, AfterARestartEventsGoOnFromWhatIsOnDisk) {
  c_.Happen(c_.Batch("a", "s-0", {Cluster::StepDone(1, 5.0), Cluster::StepDone(2, 4.0)}));
  c_.Restart();
  Return({c_.Status("s-0", v1::ATTEMPT_PHASE_RUNNING)});
  ASSERT_EQ(c_.last.commands[0].message.welcome().cursors_size(), 1);
  EXPECT_EQ(c_.last.commands[0].message.welcome().cursors(0).sequence(), 2U);
  c_.Happen(c_.Batch("a", "s-0", {Cluster::StepDone(3, 3.0)}));
  EXPECT_TRUE(c_.last.outcome.ok());
  EXPECT_EQ(c_.Trial("s-0").progress().step(), 3);
}

TEST_F(WorkerTest, WhatIsTakenInAndNotOnDiskYetIsTakenInOnceWhenItIsSaidOnTheNextStream) {
  RankEventsReceived batch = c_.Batch("a", "s-0", {Cluster::StepDone(1, 5.0), Cluster::StepDone(2, 4.0)});
  c_.Happen(batch);
  const v1::AttemptStatus status = c_.Status("s-0", v1::ATTEMPT_PHASE_RUNNING);
  WorkerConnected again{++c_.sessions, Cluster::Hello("a", 1, 2), {Cluster::Cursor(status, 1)}};
  *again.hello.add_attempts() = status;
  c_.Happen(again);
  EXPECT_EQ(c_.last.commands[0].message.welcome().cursors(0).sequence(), 1U) << "so the second is said again";
  batch.session = c_.SessionOf("a");
  batch.batch.mutable_events()->DeleteSubrange(0, 1);
  batch.batch.mutable_events(0)->mutable_step_done()->set_loss(9.0);
  c_.Happen(batch);
  EXPECT_TRUE(c_.last.outcome.ok());
  EXPECT_EQ(c_.Trial("s-0").progress().loss(), 4.0);
}

TEST_F(WorkerTest, ACheckpointOutsideTheAttemptsFolderIsNotAccepted) {
  v1::RankEvent event = Cluster::Checkpoint(10);
  event.mutable_checkpoint_done()->set_path("../9-9/checkpoints/step-10");
  c_.Happen(c_.Batch("a", "s-0", {event}));
  EXPECT_THAT(c_.Trial("s-0").checkpoints(), IsEmpty());
}

TEST_F(WorkerTest, EventsOfAnotherFenceAreRefusedAndStopped) {
  RankEventsReceived batch = c_.Batch("a", "s-0", {Cluster::StepDone(5, 3.0)});
  batch.batch.mutable_fence()->set_epoch(77);
  c_.Happen(batch);
  EXPECT_EQ(c_.last.outcome.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(c_.last.changes.empty());
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("stop s-0 3-77 now"));
}

// With the times that a coordinator has when nobody sets others, and a tick a second, as its loop makes.
TEST_F(WorkerTest, Promise3ALostWorkerIsNoticedWithinTenSecondsAndItsTrialGoesOnFromItsCheckpoint) {
  c_.Happen(c_.Batch("a", "s-0", {Cluster::Checkpoint(10), Cluster::StepDone(14, 3.0)}));
  c_.Beat("a", {c_.Status("s-0", v1::ATTEMPT_PHASE_RUNNING)});  // its last
  c_.Connect("b", 1);
  int seconds = 0;
  for (; c_.state.workers.at("a").worker.state() != v1::WORKER_STATE_LOST && seconds < 60; ++seconds) {
    c_.Beat("b", {});
    c_.Pass(1);
  }
  EXPECT_LE(seconds, 10);
  EXPECT_THAT(c_.SentTo("b"), ElementsAre("reserve s-0 3-2"));
  EXPECT_EQ(c_.LastAttempt("s-0").resume_step(), 10);
}

// A worker behind a partition trains on, saves, and comes back when another has the trial.
TEST_F(WorkerTest, Promise4AFencedAttemptPublishesNothingIntoTheStoreOrTheResumePath) {
  c_.Happen(c_.Batch("a", "s-0", {Cluster::Checkpoint(10)}));
  v1::RankEvent evaluated;
  evaluated.set_step(20);
  evaluated.mutable_eval_done()->set_loss(0.5);
  RankEventsReceived batch =
      c_.Batch("a", "s-0", {Cluster::StepDone(20, 0.5), evaluated, Cluster::Checkpoint(20)});
  v1::AttemptReport finished = c_.ReportOf("s-0", v1::ATTEMPT_PHASE_ENDED);
  finished.set_outcome(v1::ATTEMPT_OUTCOME_FINISHED);
  v1::AttemptReport diverged = finished;
  diverged.set_outcome(v1::ATTEMPT_OUTCOME_DIVERGED);
  diverged.set_cause(v1::FAILURE_CAUSE_DIVERGED);
  const v1::AttemptStatus old = c_.Status("s-0", v1::ATTEMPT_PHASE_RUNNING);
  c_.Pass(7);
  c_.Connect("b", 1);
  c_.Pass(1);
  c_.RunOn("b", "s-0");
  const std::string before = c_.Trial("s-0").SerializeAsString();

  Return({old});
  EXPECT_THAT(c_.SentTo("a"), ElementsAre("welcome keep=0", "stop s-0 3-1 now"));
  batch.session = c_.SessionOf("a");
  c_.Happen(batch);
  EXPECT_EQ(c_.last.outcome.code(), absl::StatusCode::kFailedPrecondition) << "or its curves would be stored";
  EXPECT_EQ(c_.last.refused, "stale_fence");
  for (const v1::AttemptReport& report : {diverged, finished}) c_.Report("a", report);
  EXPECT_EQ(c_.Trial("s-0").SerializeAsString(), before);

  c_.Fail("b", "s-0", v1::FAILURE_CAUSE_PREEMPTED);
  EXPECT_EQ(c_.LastAttempt("s-0").fence().epoch(), 3U);
  EXPECT_EQ(c_.LastAttempt("s-0").resume_from(), "trials/s-uids/0/3-1/checkpoints/step-10");
}

TEST_F(WorkerTest, StepsWriteTheRowOnceInTwoSecondsAndATickWritesTheRest) {
  c_.Happen(c_.Batch("a", "s-0", {Cluster::StepDone(1, 5.0)}));
  EXPECT_THAT(c_.last.changes.trials, ElementsAre("s-0"));  // the first
  c_.Happen(c_.Batch("a", "s-0", {Cluster::StepDone(2, 4.0)}));
  EXPECT_TRUE(c_.last.changes.empty());
  EXPECT_EQ(c_.Trial("s-0").progress().step(), 2);
  c_.Pass(2);
  EXPECT_THAT(c_.last.changes.trials, ElementsAre("s-0"));
  c_.Happen(c_.Batch("a", "s-0", {Cluster::StepDone(100, 3.0)}));
  EXPECT_THAT(c_.last.changes.trials, ElementsAre("s-0"));  // the last of 100
}

}  // namespace
}  // namespace mixln::coordinator::control
