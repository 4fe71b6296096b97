#include "worker/session/session.h"

#include "session_fixture.h"

namespace mixln::worker::session {
namespace {

TEST_F(WorkerSession, SaysWhoItIsAndTheHighestTermItHasSeen) {
  const Output output = Do(Connected{});
  ASSERT_EQ(output.messages.size(), 1u);
  EXPECT_EQ(output.messages[0].hello().worker_id(), "w");
  EXPECT_EQ(output.messages[0].hello().highest_term(), 5u);
  EXPECT_EQ(output.messages[0].hello().slots_size(), 2);
}

TEST_F(WorkerSession, RefusesACoordinatorOfALowerTerm) {
  Do(Connected{});
  const Output output = Welcome(4);
  EXPECT_THAT(output.close_reason, testing::HasSubstr("term 4"));
  EXPECT_FALSE(session_.welcomed());
}

TEST_F(WorkerSession, BelongsToTheFirstClusterThatWelcomedIt) {
  Do(Connected{});
  v1::CoordinatorMessage welcome;
  welcome.mutable_welcome()->set_term(5);
  welcome.mutable_welcome()->set_cluster_id("first");
  const Output kept = Say(welcome);
  ASSERT_NE(Ordered<KeepTerm>(kept), nullptr);
  EXPECT_EQ(Ordered<KeepTerm>(kept)->cluster_id, "first");
  Do(Disconnected{});
  EXPECT_EQ(Do(Connected{}).messages[0].hello().cluster_id(), "first");
  welcome.mutable_welcome()->set_cluster_id("second");
  const Output refused = Say(welcome);
  EXPECT_THAT(refused.close_reason, testing::HasSubstr("this worker belongs to first"));
  EXPECT_TRUE(refused.orders.empty());
  EXPECT_FALSE(session_.welcomed());
}

TEST_F(WorkerSession, KeepsAHigherTermBeforeItObeysIt) {
  Do(Connected{});
  const Output output = Welcome(9);
  ASSERT_NE(Ordered<KeepTerm>(output), nullptr);
  EXPECT_EQ(Ordered<KeepTerm>(output)->term, 9u);
  Do(Disconnected{});
  Do(Connected{});
  EXPECT_FALSE(Welcome(8).close_reason.empty());
}

TEST_F(WorkerSession, ClosesAStreamWhoseFirstMessageIsNoWelcome) {
  Do(Connected{});
  EXPECT_FALSE(SayStart(Key(1)).close_reason.empty());
}

TEST_F(WorkerSession, GoesFromReserveOverPreparedAndStartToRunning) {
  Connect();
  Output output = SayReserve(MakeReserve(Key(1)));
  EXPECT_NE(Ordered<Prepare>(output), nullptr);
  EXPECT_EQ(Reports(output).at(0).phase(), v1::ATTEMPT_PHASE_PREPARING);
  output = Do(PrepareProgress{Key(1), "tokenizing 43%"});
  EXPECT_EQ(Reports(output).at(0).detail(), "tokenizing 43%");
  output = Do(Prepared{Key(1), "10.0.0.1:9"});
  EXPECT_EQ(Reports(output).at(0).phase(), v1::ATTEMPT_PHASE_RESERVED);
  EXPECT_EQ(Reports(output).at(0).rendezvous(), "10.0.0.1:9");
  output = SayStart(Key(1));
  ASSERT_NE(Ordered<StartRanks>(output), nullptr);
  output = SayStart(Key(1));
  EXPECT_EQ(Ordered<StartRanks>(output), nullptr) << "a repeated Start starts nothing twice";
  output = Do(RanksStarted{Key(1)});
  EXPECT_EQ(Reports(output).at(0).phase(), v1::ATTEMPT_PHASE_RUNNING);
}

TEST_F(WorkerSession, ARepeatedReserveIsAnsweredWithWhereTheAttemptIs) {
  Connect();
  Run(Key(1));
  const Output output = SayReserve(MakeReserve(Key(1)));
  EXPECT_EQ(Ordered<Prepare>(output), nullptr);
  EXPECT_EQ(Reports(output).at(0).phase(), v1::ATTEMPT_PHASE_RUNNING);
}

TEST_F(WorkerSession, ASlotThatDoesNotExistOrIsTakenIsRefused) {
  Connect();
  EXPECT_EQ(Ended(SayReserve(MakeReserve(Key(1), {5})))->cause(), v1::FAILURE_CAUSE_START_TIMEOUT);
  Run(Key(2));
  const auto report = Ended(SayReserve(MakeReserve(Key(3, "s-1"))));
  ASSERT_TRUE(report);
  EXPECT_THAT(report->message(), testing::HasSubstr("s-0 7-2"));
}

TEST_F(WorkerSession, ANewerAttemptFencesTheOlderAndWaitsForItsSlot) {
  Connect();
  Run(Key(1));
  Output output = SayReserve(MakeReserve(Key(2)));
  ASSERT_NE(Ordered<StopRanks>(output), nullptr);
  EXPECT_EQ(Ordered<StopRanks>(output)->key, Key(1));
  EXPECT_EQ(Ordered<StopRanks>(output)->stop.mode, v1::STOP_MODE_NOW);
  output = Do(Prepared{Key(2), ""});
  EXPECT_EQ(Reports(output).at(0).phase(), v1::ATTEMPT_PHASE_PREPARING) << "the slot is not free yet";
  output = RankEnds(Key(1), v1::ATTEMPT_OUTCOME_STOPPED, 9);
  EXPECT_EQ(session_.attempts().at(Key(2)).phase, v1::ATTEMPT_PHASE_RESERVED);
  EXPECT_EQ(session_.attempts().at(Key(1)).phase, v1::ATTEMPT_PHASE_ENDED)
      << "nobody acknowledges a fenced attempt's events";
}

TEST_F(WorkerSession, AnOlderAttemptIsRefusedBesideANewerOne) {
  Connect();
  Run(Key(2));
  const Output output = SayReserve(MakeReserve(Key(1), {1}));
  EXPECT_EQ(Ordered<Prepare>(output), nullptr);
  EXPECT_TRUE(Ended(output));
}

TEST_F(WorkerSession, AnAttemptThatTheWelcomeDoesNotKeepIsStoppedAtOnce) {
  Connect();
  Run(Key(1));
  Run(Key(2, "s-1"), {1});
  Do(Disconnected{});
  const Output output = Connect({Key(2, "s-1")});
  ASSERT_NE(Ordered<StopRanks>(output), nullptr);
  EXPECT_EQ(Ordered<StopRanks>(output)->key, Key(1));
  EXPECT_EQ(Reports(output).size(), 1u) << "the kept one is reported again";
  EXPECT_EQ(Reports(output)[0].trial_id(), "s-1");
}

TEST_F(WorkerSession, StopOfAnUnknownAttemptIsAnsweredOnceBetweenHeartbeats) {
  Connect();
  EXPECT_EQ(Ended(SayStop(Key(8)))->outcome(), v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_FALSE(Ended(SayStop(Key(8))));
  After(2);
  EXPECT_TRUE(Ended(SayStop(Key(8))));
}

TEST_F(WorkerSession, StartOfAnUnknownAttemptIsWorkerLost) {
  Connect();
  EXPECT_EQ(Ended(SayStart(Key(8)))->cause(), v1::FAILURE_CAUSE_WORKER_LOST);
}

TEST_F(WorkerSession, EndIsSaidOnlyWhenEveryEventIsAcknowledged) {
  Connect();
  Run(Key(1));
  ASSERT_NE(Ordered<ReadEvents>(After(0.1)), nullptr);
  EXPECT_EQ(Batch(Do(Read(Key(1), 1, 3)))->events_size(), 3);
  EXPECT_FALSE(Ended(RankEnds(Key(1), v1::ATTEMPT_OUTCOME_FINISHED, 4)));
  EXPECT_FALSE(Ended(SayEventAck(Key(1), 3)));
  const Output output = After(0.1);
  ASSERT_NE(Ordered<ReadEvents>(output), nullptr);
  EXPECT_EQ(Ordered<ReadEvents>(output)->after, 3u);
  Do(Read(Key(1), 4, 4));
  EXPECT_EQ(Ended(SayEventAck(Key(1), 4))->outcome(), v1::ATTEMPT_OUTCOME_FINISHED);
  EXPECT_EQ(Ordered<ReadEvents>(After(0.1)), nullptr);
}

TEST_F(WorkerSession, EndIsRepeatedUntilALaterHeartbeatIsAnswered) {
  Connect();
  After(0);  // heartbeat 1
  Run(Key(1));
  EXPECT_TRUE(Ended(RankEnds(Key(1), v1::ATTEMPT_OUTCOME_FINISHED)));
  EXPECT_EQ(Ordered<Forget>(AnswerHeartbeat(1)), nullptr) << "sent before the report";
  EXPECT_TRUE(Ended(After(2)));  // heartbeat 2
  Do(Disconnected{});
  EXPECT_TRUE(Ended(Connect({Key(1)})));
  EXPECT_TRUE(Ended(After(2)));  // heartbeat 3
  const Output output = AnswerHeartbeat(3);
  ASSERT_NE(Ordered<Forget>(output), nullptr);
  EXPECT_TRUE(session_.attempts().empty());
}

TEST_F(WorkerSession, AnAnswerForTheLeaseAloneConfirmsNoEnd) {
  Connect();
  After(0);  // heartbeat 1
  Run(Key(1));
  EXPECT_TRUE(Ended(RankEnds(Key(1), v1::ATTEMPT_OUTCOME_FINISHED)));
  After(2);  // heartbeat 2
  EXPECT_EQ(Ordered<Forget>(AnswerHeartbeat(2, /*lease_only=*/true)), nullptr);
  // The lease lasts 8 s from heartbeat 2, sent at 2 s.
  After(5.9);
  EXPECT_TRUE(session_.HasLease(now_));
  Do(Disconnected{});
  EXPECT_TRUE(Ended(Connect({Key(1)})));
}

TEST_F(WorkerSession, AStoppedAttemptWaitsForItsEventsAsAnyOther) {
  Connect();
  Run(Key(1));
  EXPECT_EQ(Ordered<StopRanks>(SayStop(Key(1)))->stop.mode, v1::STOP_MODE_CHECKPOINT);
  EXPECT_FALSE(Ended(RankEnds(Key(1), v1::ATTEMPT_OUTCOME_STOPPED, 4)));
  EXPECT_FALSE(Ended(After(7)));
  EXPECT_EQ(Ended(SayEventAck(Key(1), 4))->outcome(), v1::ATTEMPT_OUTCOME_STOPPED);
}

TEST_F(WorkerSession, AnAttemptThatTheCoordinatorCallsFencedWaitsForNoAcknowledgement) {
  Connect();
  Run(Key(1));
  EXPECT_EQ(Ordered<StopRanks>(SayStop(Key(1)))->stop.mode, v1::STOP_MODE_CHECKPOINT);
  EXPECT_FALSE(Ended(RankEnds(Key(1), v1::ATTEMPT_OUTCOME_STOPPED, 4)));
  EXPECT_EQ(Ended(SayFenced(Key(1)))->outcome(), v1::ATTEMPT_OUTCOME_STOPPED);
}

TEST_F(WorkerSession, AStopMayBecomeStricterButNotMilder) {
  Connect();
  Run(Key(1));
  SayStop(Key(1));
  EXPECT_EQ(Ordered<StopRanks>(SayStop(Key(1))), nullptr);
  EXPECT_EQ(Ordered<StopRanks>(SayStop(Key(1), v1::STOP_MODE_NOW))->stop.mode, v1::STOP_MODE_NOW);
  EXPECT_EQ(Ordered<StopRanks>(SayStop(Key(1))), nullptr);
}

TEST_F(WorkerSession, AStopWhilePreparingEndsTheAttemptAtOnce) {
  Connect();
  SayReserve(MakeReserve(Key(1)));
  const Output output = SayStop(Key(1));
  EXPECT_NE(Ordered<StopRanks>(output), nullptr) << "the agent gives up preparing";
  EXPECT_EQ(Ended(output)->outcome(), v1::ATTEMPT_OUTCOME_STOPPED);
}

TEST_F(WorkerSession, AFailedPreparationEndsTheAttemptWithItsCause) {
  Connect();
  SayReserve(MakeReserve(Key(1)));
  const auto report = Ended(Do(PrepareFailed{Key(1), v1::FAILURE_CAUSE_DATA_ERROR, "x.txt is binary"}));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->cause(), v1::FAILURE_CAUSE_DATA_ERROR);
  EXPECT_EQ(report->message(), "x.txt is binary");
}

TEST_F(WorkerSession, TheFirstFailingRankSaysWhyAndTheOthersAreEnded) {
  Connect();
  Run(Key(1), {0, 1});
  const Output output = RankEnds(Key(1), v1::ATTEMPT_OUTCOME_FAILED, 0, v1::FAILURE_CAUSE_OUT_OF_MEMORY, 1);
  ASSERT_NE(Ordered<StopRanks>(output), nullptr);
  EXPECT_FALSE(Ended(output));
  const auto report = Ended(RankEnds(Key(1), v1::ATTEMPT_OUTCOME_FAILED, 0, v1::FAILURE_CAUSE_PEER_LOST, 0));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->cause(), v1::FAILURE_CAUSE_OUT_OF_MEMORY);
}

TEST_F(WorkerSession, APeersOwnCauseReplacesPeerLost) {
  Connect();
  Run(Key(1), {0, 1});
  RankEnds(Key(1), v1::ATTEMPT_OUTCOME_FAILED, 0, v1::FAILURE_CAUSE_PEER_LOST, 0);
  const auto report =
      Ended(RankEnds(Key(1), v1::ATTEMPT_OUTCOME_FAILED, 0, v1::FAILURE_CAUSE_OUT_OF_MEMORY, 1));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->cause(), v1::FAILURE_CAUSE_OUT_OF_MEMORY);
}

TEST_F(WorkerSession, APeersOwnCauseReplacesPeerLostWhenBothEndedWithoutADaemon) {
  Do(Adopted{MakeReserve(Key(1), {0, 1}), true, std::nullopt});
  RankEnds(Key(1), v1::ATTEMPT_OUTCOME_FAILED, 0, v1::FAILURE_CAUSE_PEER_LOST, 0);
  RankEnds(Key(1), v1::ATTEMPT_OUTCOME_FAILED, 0, v1::FAILURE_CAUSE_BAD_CONFIG, 1);
  Do(Connected{});
  EXPECT_EQ(Ended(Welcome(7, {Key(1)}))->cause(), v1::FAILURE_CAUSE_BAD_CONFIG);
}

TEST_F(WorkerSession, ARankThatAStopKilledIsNotWhyItsAttemptFailed) {
  const RankEnd killed{v1::ATTEMPT_OUTCOME_FAILED, v1::FAILURE_CAUSE_TRAINER_CRASH, "signal 9", true};
  Connect();
  Run(Key(1), {0, 1});
  RankEnds(Key(1), v1::ATTEMPT_OUTCOME_FAILED, 0, v1::FAILURE_CAUSE_PEER_LOST, 0);
  EXPECT_EQ(Ended(Do(RankEnded{Key(1), 1, killed, 0}))->cause(), v1::FAILURE_CAUSE_PEER_LOST);
  Run(Key(2), {0, 1});
  Do(RankEnded{Key(2), 0, killed, 0});  // seen first by a daemon that has adopted both
  EXPECT_EQ(Ended(RankEnds(Key(2), v1::ATTEMPT_OUTCOME_FAILED, 0, v1::FAILURE_CAUSE_PEER_LOST, 1))->cause(),
            v1::FAILURE_CAUSE_PEER_LOST);
}

TEST_F(WorkerSession, ADivergedRankIsAResultEvenIfTheAttemptWasBeingStopped) {
  Connect();
  Run(Key(1));
  SayStop(Key(1));
  EXPECT_EQ(Ended(RankEnds(Key(1), v1::ATTEMPT_OUTCOME_DIVERGED))->outcome(), v1::ATTEMPT_OUTCOME_DIVERGED);
}

TEST_F(WorkerSession, ResendsEventsFromTheCoordinatorsCursorAfterAReconnect) {
  Connect();
  Run(Key(1));
  Do(Read(Key(1), 1, 5));
  SayEventAck(Key(1), 2);
  Do(Disconnected{});
  EXPECT_FALSE(Batch(Do(Read(Key(1), 6, 6)))) << "nobody listens";
  Connect({Key(1)}, 3);
  EXPECT_EQ(Ordered<ReadEvents>(After(0.1))->after, 3u);
  const auto batch = Batch(Do(Read(Key(1), 2, 6)));
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->events(0).sequence(), 4u);
  EXPECT_EQ(batch->events_size(), 3);
}

TEST_F(WorkerSession, StopsReadingWhenTooMuchIsUnacknowledged) {
  Connect();
  Run(Key(1));
  EXPECT_EQ(Ordered<ReadEvents>(After(0.1))->limit, 256);
  Do(Read(Key(1), 1, 1000));
  EXPECT_EQ(Ordered<ReadEvents>(After(0.1))->limit, 24);
  Do(Read(Key(1), 1001, 1024));
  EXPECT_EQ(Ordered<ReadEvents>(After(0.1)), nullptr);
  SayEventAck(Key(1), 500);
  EXPECT_EQ(Ordered<ReadEvents>(After(0.1))->after, 1024u);
}

TEST_F(WorkerSession, RanksShareWhatMayBeUnacknowledged) {
  Connect();
  Run(Key(1));
  Run(Key(2, "s-1"), {1});
  Do(Read(Key(1), 1, 800));
  std::vector<int> limits;
  for (const Order& order : After(0.1).orders)
    if (const auto* read = std::get_if<ReadEvents>(&order)) limits.push_back(read->limit);
  EXPECT_THAT(limits, testing::ElementsAre(112, 112));
}

TEST_F(WorkerSession, EventsOfAFencedAttemptHoldNobodyUp) {
  Connect();
  Run(Key(1));
  Run(Key(2, "s-1"), {1});
  Do(Read(Key(1), 1, 1024));
  EXPECT_EQ(Ordered<ReadEvents>(After(0.1)), nullptr);
  SayFenced(Key(1));
  EXPECT_EQ(Ordered<ReadEvents>(After(0.1))->key, Key(2, "s-1"));
}

TEST_F(WorkerSession, AnAdoptedAttemptIsInTheHelloAndItsEndIsReported) {
  Do(Adopted{MakeReserve(Key(1)), true, std::nullopt});
  RankEnds(Key(1), v1::ATTEMPT_OUTCOME_FAILED, 0, v1::FAILURE_CAUSE_TRAINER_CRASH);
  const Output output = Do(Connected{});
  EXPECT_EQ(output.messages[0].hello().attempts(0).trial_id(), "s-0");
  EXPECT_EQ(Ended(Welcome(7, {Key(1)}))->cause(), v1::FAILURE_CAUSE_TRAINER_CRASH);
}

TEST_F(WorkerSession, AnAdoptedAttemptThatWasOnlyReservedIsPreparedAgain) {
  EXPECT_NE(Ordered<Prepare>(Do(Adopted{MakeReserve(Key(1)), false, std::nullopt})), nullptr);
  EXPECT_EQ(session_.attempts().at(Key(1)).phase, v1::ATTEMPT_PHASE_PREPARING);
}

TEST_F(WorkerSession, ShuttingDownHandsBackWithACheckpointAndTakesNothingNew) {
  Connect();
  Run(Key(1));
  const Output output = Do(ShutDown{});
  EXPECT_EQ(Ordered<StopRanks>(output)->stop.mode, v1::STOP_MODE_CHECKPOINT);
  EXPECT_TRUE(HeartbeatIn(output)->draining());
  EXPECT_EQ(Ended(SayReserve(MakeReserve(Key(2, "s-1"), {1})))->cause(), v1::FAILURE_CAUSE_PREEMPTED);
  EXPECT_EQ(Ended(RankEnds(Key(1), v1::ATTEMPT_OUTCOME_STOPPED))->cause(), v1::FAILURE_CAUSE_PREEMPTED);
}

TEST_F(WorkerSession, DeletionsAndLogRequestsGoToTheAgent) {
  Connect();
  v1::CoordinatorMessage message;
  message.mutable_delete_()->add_paths("trials/x");
  EXPECT_THAT(Ordered<DeleteFolders>(Say(message))->paths, testing::ElementsAre("trials/x"));
  message.mutable_log_request()->set_request_id(3);
  EXPECT_EQ(Ordered<ReadLog>(Say(message))->request.request_id(), 3u);
}

}  // namespace
}  // namespace mixln::worker::session
