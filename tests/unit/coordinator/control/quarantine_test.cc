#include "coordinator/control/quarantine.h"

#include <gmock/gmock.h>

#include "cluster.h"

namespace mixln::coordinator::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Four trials run on worker a, and worker b is there, too.
struct Quarantine : ::testing::Test {
  Quarantine() {
    c.options.lease = base::Seconds(3600);
    c.options.retry_backoff = {.initial = base::Seconds(1), .max = base::Seconds(1)};
    c.Connect("a", 4);
    c.Submit("s", 4);
    for (const char* trial : {"s-0", "s-1", "s-2", "s-3"}) c.RunOn("a", trial);
    c.Connect("b", 1);
  }
  const v1::Worker& a() const { return c.state.workers.at("a").worker; }

  Cluster c;
};

TEST_F(Quarantine, TheThirdDifferentTrialThatFailsTakesTheWorkerOutOfService) {
  c.Fail("a", "s-0", v1::FAILURE_CAUSE_TRAINER_CRASH);
  c.Fail("a", "s-1", v1::FAILURE_CAUSE_HANG);
  EXPECT_FALSE(a().quarantined());
  EXPECT_EQ(a().state(), v1::WORKER_STATE_READY);
  c.Fail("a", "s-2", v1::FAILURE_CAUSE_IO);
  EXPECT_THAT(c.last.changes.workers, ElementsAre("a"));
  EXPECT_TRUE(a().quarantined());
  EXPECT_EQ(a().state(), v1::WORKER_STATE_DRAINING);
  EXPECT_EQ(a().reason(), "quarantined: 3 trials in a row failed on it, the last one by io: s-0, s-1, s-2");
  EXPECT_EQ(c.StateOf("s-3"), v1::TRIAL_STATE_RUNNING);  // what runs goes on
  c.Pass(2);                                             // the back-offs are over
  EXPECT_EQ(c.LastAttempt("s-0").ranks(0).worker_id(), "b");
  EXPECT_EQ(c.StateOf("s-1"), v1::TRIAL_STATE_PENDING);  // b has one slot
}

TEST_F(Quarantine, TheSameTrialOverAndOverIsTheTrialsFault) {
  c.Trial("s-0").mutable_spec()->mutable_retry()->set_max_retries(100);
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(c.LastAttempt("s-0").ranks(0).worker_id(), "a");
    c.Fail("a", "s-0", v1::FAILURE_CAUSE_TRAINER_CRASH);
    c.Pass(2);
    c.RunOn("a", "s-0");
  }
  EXPECT_FALSE(a().quarantined());
}

TEST_F(Quarantine, WhatIsTheTrialsOwnIsNotHeldAgainstTheWorker) {
  c.Fail("a", "s-0", v1::FAILURE_CAUSE_OUT_OF_MEMORY);
  c.Fail("a", "s-1", v1::FAILURE_CAUSE_BAD_CONFIG);
  c.End("a", "s-2", v1::ATTEMPT_OUTCOME_DIVERGED);
  c.Fail("a", "s-3", v1::FAILURE_CAUSE_DATA_ERROR);
  EXPECT_THAT(a().failed_trial_ids(), IsEmpty());
}

TEST_F(Quarantine, ProgressClearsTheWorker) {
  c.Fail("a", "s-0", v1::FAILURE_CAUSE_TRAINER_CRASH);
  c.Fail("a", "s-1", v1::FAILURE_CAUSE_TRAINER_CRASH);
  c.Happen(c.Batch("a", "s-3", {Cluster::Checkpoint(5)}));
  EXPECT_THAT(a().failed_trial_ids(), IsEmpty());
  c.Fail("a", "s-2", v1::FAILURE_CAUSE_TRAINER_CRASH);
  EXPECT_FALSE(a().quarantined());
}

TEST_F(Quarantine, OutlivesRestartsOfEitherSideUntilItIsUndone) {
  for (const char* trial : {"s-0", "s-1", "s-2"}) c.Fail("a", trial, v1::FAILURE_CAUSE_TRAINER_CRASH);
  c.Restart();
  v1::Hello hello = Cluster::Hello("a", 4, /*instance=*/2);
  *hello.add_attempts() = c.Status("s-3", v1::ATTEMPT_PHASE_RUNNING);
  c.Connect(hello);
  EXPECT_EQ(a().state(), v1::WORKER_STATE_DRAINING);
  c.Beat("a", {c.Status("s-3", v1::ATTEMPT_PHASE_RUNNING)});
  EXPECT_EQ(a().state(), v1::WORKER_STATE_DRAINING);
  c.Happen(WorkerDrained{"a", true, ""});
  EXPECT_FALSE(a().quarantined());
  EXPECT_THAT(a().failed_trial_ids(), IsEmpty());
  EXPECT_EQ(a().reason(), "");
  EXPECT_EQ(a().state(), v1::WORKER_STATE_READY);
}

TEST_F(Quarantine, TheLastWorkerInServiceIsKeptAndSaysSo) {
  c.Happen(WorkerDrained{"b", false, ""});
  for (const char* trial : {"s-0", "s-1", "s-2"}) c.Fail("a", trial, v1::FAILURE_CAUSE_TRAINER_CRASH);
  EXPECT_FALSE(a().quarantined());
  EXPECT_EQ(a().state(), v1::WORKER_STATE_READY);
  EXPECT_THAT(a().reason(), HasSubstr("kept in service because no other worker is ready"));
  c.Happen(WorkerDrained{"b", true, ""});
  c.Fail("a", "s-3", v1::FAILURE_CAUSE_TRAINER_CRASH);
  EXPECT_TRUE(a().quarantined());
}

}  // namespace
}  // namespace mixln::coordinator::control
