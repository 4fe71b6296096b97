// Heartbeats, the lease that they keep, and what a worker does and shows without one.
#include "session_fixture.h"

namespace mixln::worker::session {
namespace {

using base::Seconds;

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

// As after a standstill of the daemon: what it was sent meanwhile is still unread, and goes with the stream.
TEST_F(WorkerSession, SaysNothingOnAStreamThatItLeaves) {
  Connect();
  const Output left = After(37);
  EXPECT_FALSE(left.close_reason.empty());
  EXPECT_TRUE(left.messages.empty());
}

TEST_F(WorkerSession, WhatItWasToldToStartBeforeItsLeaseRanOutItStartsNoMore) {
  Connect();
  SayReserve(MakeReserve(Key(1)));
  Do(Prepared{Key(1), ""});
  now_ = now_ + base::Seconds(30);  // it stands still
  const Output late = SayStart(Key(1));
  EXPECT_EQ(Ordered<StartRanks>(late), nullptr);
  EXPECT_FALSE(late.close_reason.empty());
  Do(Disconnected{});
  const Output reserved = (Connect(), SayReserve(MakeReserve(Key(2))));
  EXPECT_NE(Ordered<Prepare>(reserved), nullptr);
}

TEST_F(WorkerSession, StopsOrphanedRanksWithACheckpointAndHandsTheAttemptBack) {
  Connect();
  Run(Key(1));
  Do(Disconnected{});
  for (int second = 0; second < 1799; ++second) EXPECT_EQ(Ordered<StopRanks>(After(1)), nullptr);
  const Output output = After(2);
  ASSERT_NE(Ordered<StopRanks>(output), nullptr);
  EXPECT_EQ(Ordered<StopRanks>(output)->stop.mode, v1::STOP_MODE_CHECKPOINT);
  EXPECT_EQ(Ordered<StopRanks>(After(1)), nullptr) << "once";
  RankEnds(Key(1), v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(Ended(Connect({Key(1)}))->cause(), v1::FAILURE_CAUSE_PREEMPTED);
}

// As when its machine was suspended for an hour.
TEST_F(WorkerSession, AfterAStandstillRanksAreNoOrphansBeforeAllOfTheirGraceIsOver) {
  Connect();
  Run(Key(1));
  EXPECT_FALSE(After(3600).close_reason.empty());
  Do(Disconnected{});
  for (int second = 0; second < 1799; ++second) EXPECT_EQ(Ordered<StopRanks>(After(1)), nullptr);
  EXPECT_NE(Ordered<StopRanks>(After(2)), nullptr);
}

}  // namespace
}  // namespace mixln::worker::session
