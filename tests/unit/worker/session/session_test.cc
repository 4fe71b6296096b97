#include "worker/session/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace mixln::worker::session {
namespace {

using base::Seconds;
using base::Time;

AttemptKey Key(uint64_t epoch, std::string trial = "s-0") {
  return {std::move(trial), 7, epoch};
}

v1::Reserve MakeReserve(const AttemptKey& key, std::vector<int> slots = {0}) {
  v1::Reserve reserve;
  reserve.set_trial_id(key.trial_id);
  reserve.mutable_fence()->set_term(key.term);
  reserve.mutable_fence()->set_epoch(key.epoch);
  for (size_t i = 0; i < slots.size(); ++i) {
    v1::RankPlacement& rank = *reserve.add_ranks();
    rank.set_rank(static_cast<int>(i));
    rank.set_slot(slots[i]);
  }
  reserve.set_world_size(static_cast<int>(slots.size()));
  return reserve;
}

template <typename Message>
void Name(Message& message, const AttemptKey& key) {
  message.set_trial_id(key.trial_id);
  message.mutable_fence()->set_term(key.term);
  message.mutable_fence()->set_epoch(key.epoch);
}

// A session with two slots, its clock, and the coordinator's and the agent's lines in the play.
class WorkerSession : public testing::Test {
 protected:
  WorkerSession() : session_(MakeOptions(), now_) {}

  static Options MakeOptions() {
    Options options;
    options.identity.set_worker_id("w");
    for (int i = 0; i < 2; ++i) options.identity.add_slots()->set_index(i);
    options.highest_term = 5;
    return options;
  }

  Output Do(const Event& event) { return last_ = session_.Step(event, now_); }
  Output After(double seconds, const Event& event = Tick{}) {
    now_ = now_ + Seconds(seconds);
    return Do(event);
  }
  Output Say(const v1::CoordinatorMessage& message) { return Do(Received{message}); }

  Output Welcome(uint64_t term = 7, const std::vector<AttemptKey>& keep = {}, uint64_t cursor = 0) {
    v1::CoordinatorMessage message;
    v1::Welcome& welcome = *message.mutable_welcome();
    welcome.set_term(term);
    welcome.set_cluster_id("c");
    welcome.set_heartbeat_seconds(2);
    welcome.set_lease_seconds(8);
    for (const AttemptKey& key : keep) {
      Name(*welcome.add_keep(), key);
      Name(*welcome.add_cursors(), key);
      welcome.mutable_cursors()->rbegin()->set_sequence(cursor);
    }
    return Say(message);
  }
  Output Connect(const std::vector<AttemptKey>& keep = {}, uint64_t cursor = 0) {
    Do(Connected{});
    return Welcome(7, keep, cursor);
  }
  Output SayReserve(const v1::Reserve& reserve) {
    v1::CoordinatorMessage message;
    *message.mutable_reserve() = reserve;
    return Say(message);
  }
  Output SayStart(const AttemptKey& key) {
    v1::CoordinatorMessage message;
    Name(*message.mutable_start(), key);
    return Say(message);
  }
  Output SayStop(const AttemptKey& key, v1::StopMode mode = v1::STOP_MODE_CHECKPOINT) {
    v1::CoordinatorMessage message;
    Name(*message.mutable_stop(), key);
    message.mutable_stop()->set_mode(mode);
    return Say(message);
  }
  Output SayEventAck(const AttemptKey& key, uint64_t sequence) {
    v1::CoordinatorMessage message;
    Name(*message.mutable_event_ack(), key);
    message.mutable_event_ack()->set_sequence(sequence);
    return Say(message);
  }
  Output AnswerHeartbeat(uint64_t sequence, bool lease_only = false) {
    v1::CoordinatorMessage message;
    message.mutable_heartbeat_ack()->set_sequence(sequence);
    message.mutable_heartbeat_ack()->set_lease_only(lease_only);
    return Say(message);
  }
  void Run(const AttemptKey& key, std::vector<int> slots = {0}) {
    SayReserve(MakeReserve(key, std::move(slots)));
    Do(Prepared{key, ""});
    SayStart(key);
    Do(RanksStarted{key});
  }
  Output RankEnds(const AttemptKey& key, v1::AttemptOutcome outcome, uint64_t last = 0,
                  v1::FailureCause cause = v1::FAILURE_CAUSE_UNSPECIFIED, int rank = 0) {
    return Do(
        RankEnded{key, rank, {outcome, cause, cause == v1::FAILURE_CAUSE_UNSPECIFIED ? "" : "why"}, last});
  }
  static EventsRead Read(const AttemptKey& key, uint64_t from, uint64_t to) {
    EventsRead read{key, 0, {}};
    for (uint64_t sequence = from; sequence <= to; ++sequence)
      read.events.emplace_back().set_sequence(sequence);
    return read;
  }

  static std::vector<v1::AttemptReport> Reports(const Output& output) {
    std::vector<v1::AttemptReport> reports;
    for (const v1::WorkerMessage& message : output.messages)
      if (message.has_report()) reports.push_back(message.report());
    return reports;
  }
  static std::optional<v1::AttemptReport> Ended(const Output& output) {
    for (const v1::AttemptReport& report : Reports(output))
      if (report.phase() == v1::ATTEMPT_PHASE_ENDED) return report;
    return std::nullopt;
  }
  static std::optional<v1::Heartbeat> HeartbeatIn(const Output& output) {
    for (const v1::WorkerMessage& message : output.messages)
      if (message.has_heartbeat()) return message.heartbeat();
    return std::nullopt;
  }
  static std::optional<v1::EventBatch> Batch(const Output& output) {
    for (const v1::WorkerMessage& message : output.messages)
      if (message.has_events()) return message.events();
    return std::nullopt;
  }
  template <typename Kind>
  static const Kind* Ordered(const Output& output) {
    for (const Order& order : output.orders)
      if (const Kind* found = std::get_if<Kind>(&order)) return found;
    return nullptr;
  }

  Time now_{Seconds(1000).count()};
  Session session_;
  Output last_;
};

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

TEST_F(WorkerSession, AStoppedAttemptDoesNotWaitForeverForAcknowledgements) {
  Connect();
  Run(Key(1));
  EXPECT_EQ(Ordered<StopRanks>(SayStop(Key(1)))->stop.mode, v1::STOP_MODE_CHECKPOINT);
  EXPECT_FALSE(Ended(RankEnds(Key(1), v1::ATTEMPT_OUTCOME_STOPPED, 4)));
  EXPECT_FALSE(Ended(After(4.9)));
  EXPECT_EQ(Ended(After(0.2))->outcome(), v1::ATTEMPT_OUTCOME_STOPPED);
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

TEST_F(WorkerSession, ADivergedRankIsAResultEvenIfTheAttemptWasBeingStopped) {
  Connect();
  Run(Key(1));
  SayStop(Key(1));
  EXPECT_EQ(Ended(RankEnds(Key(1), v1::ATTEMPT_OUTCOME_DIVERGED))->outcome(), v1::ATTEMPT_OUTCOME_DIVERGED);
}

TEST_F(WorkerSession, SendsHeartbeatsAtTheWelcomesPaceWithEveryAttempt) {
  Connect();
  Run(Key(1));
  EXPECT_EQ(HeartbeatIn(After(0))->sequence(), 1u);
  EXPECT_FALSE(HeartbeatIn(After(1.9)));
  const auto heartbeat = HeartbeatIn(After(0.2));
  ASSERT_TRUE(heartbeat);
  EXPECT_EQ(heartbeat->sequence(), 2u);
  EXPECT_EQ(heartbeat->attempts(0).phase(), v1::ATTEMPT_PHASE_RUNNING);
}

TEST_F(WorkerSession, TheLeaseCountsFromWhenTheAnsweredHeartbeatWasSent) {
  Connect();
  After(0);  // heartbeat 1
  After(3);  // heartbeat 2, whose answer comes three seconds late
  now_ = now_ + Seconds(3);
  AnswerHeartbeat(2);
  EXPECT_TRUE(session_.HasLease(now_ + Seconds(4.9)));
  EXPECT_FALSE(session_.HasLease(now_ + Seconds(5)));
}

TEST_F(WorkerSession, HidesMetricsWhenTheLeaseRunsOutAndShowsThemWhenReconciled) {
  Connect();
  Run(Key(1));
  Do(Disconnected{});
  EXPECT_EQ(Ordered<ShowMetrics>(After(7.9)), nullptr);
  const Output hidden = After(0.2);
  ASSERT_NE(Ordered<ShowMetrics>(hidden), nullptr);
  EXPECT_FALSE(Ordered<ShowMetrics>(hidden)->visible);
  EXPECT_EQ(Ordered<StopRanks>(hidden), nullptr) << "ranks train on";
  const Output shown = Connect({Key(1)});
  ASSERT_NE(Ordered<ShowMetrics>(shown), nullptr);
  EXPECT_TRUE(Ordered<ShowMetrics>(shown)->visible);
}

// The lease that the coordinator gave is 8 s, counted from when the last answered message was sent: no
// coordinator has placed the trial anew by then.
TEST_F(WorkerSession, Promise4TheSeriesOfAFencedAttemptVanishWithinOneLeaseAndStayAway) {
  Connect();
  Run(Key(1));
  Run(Key(2, "s-1"), {1});
  Do(Disconnected{});
  const Output hidden = After(8);
  ASSERT_NE(Ordered<ShowMetrics>(hidden), nullptr);
  EXPECT_FALSE(Ordered<ShowMetrics>(hidden)->visible);
  const Output back = Connect({Key(2, "s-1")});
  std::vector<AttemptKey> dropped;
  for (const Order& order : back.orders) {
    if (const auto* drop = std::get_if<DropMetrics>(&order)) dropped.push_back(drop->key);
    if (std::holds_alternative<ShowMetrics>(order)) {
      EXPECT_FALSE(dropped.empty()) << "shown before it was gone";
    }
  }
  EXPECT_THAT(dropped, testing::ElementsAre(Key(1)));
}

// Its rank has ended behind the partition: nothing is left to stop, and nothing to show.
TEST_F(WorkerSession, Promise4AFencedAttemptThatHasEndedShowsNoSeriesEither) {
  Connect();
  Run(Key(1));
  Do(Disconnected{});
  RankEnds(Key(1), v1::ATTEMPT_OUTCOME_FINISHED);
  const Output back = Connect();
  ASSERT_NE(Ordered<DropMetrics>(back), nullptr);
  EXPECT_EQ(Ordered<DropMetrics>(back)->key, Key(1));
}

TEST_F(WorkerSession, LeavesAStreamOnWhichNothingIsAnswered) {
  Connect();
  EXPECT_TRUE(After(7.9).close_reason.empty());
  EXPECT_FALSE(After(0.2).close_reason.empty());
}

TEST_F(WorkerSession, StopsOrphanedRanksWithACheckpointAndHandsTheAttemptBack) {
  Connect();
  Run(Key(1));
  Do(Disconnected{});
  EXPECT_EQ(Ordered<StopRanks>(After(1799)), nullptr);
  const Output output = After(2);
  ASSERT_NE(Ordered<StopRanks>(output), nullptr);
  EXPECT_EQ(Ordered<StopRanks>(output)->stop.mode, v1::STOP_MODE_CHECKPOINT);
  EXPECT_EQ(Ordered<StopRanks>(After(1)), nullptr) << "once";
  RankEnds(Key(1), v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(Ended(Connect({Key(1)}))->cause(), v1::FAILURE_CAUSE_PREEMPTED);
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
  const Output output = Do(Read(Key(1), 1, 256));
  EXPECT_EQ(Ordered<ReadEvents>(output)->after, 256u) << "a full batch asks for more at once";
  Do(Read(Key(1), 257, 2048));
  EXPECT_EQ(Ordered<ReadEvents>(After(0.1)), nullptr);
  SayEventAck(Key(1), 1000);
  EXPECT_EQ(Ordered<ReadEvents>(After(0.1))->after, 2048u);
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
