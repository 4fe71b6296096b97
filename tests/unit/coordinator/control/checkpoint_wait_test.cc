// Trials whose checkpoint only some workers see.
#include <gmock/gmock.h>

#include "cluster.h"

namespace mixln::coordinator::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// s-0 has a checkpoint of step 5 in a's artifacts folder; a is lost, and b, with a folder of its own, is
// there.
struct CheckpointWait : ::testing::Test {
  explicit CheckpointWait(const std::string& folder_of_b = "two") {
    c.options.checkpoint_wait = base::Seconds(60);
    c.Connect(Hello("a", "one"));
    c.Submit("s", 1);
    c.RunOn("a", "s-0");
    c.Happen(c.Batch("a", "s-0", {Cluster::Checkpoint(5)}));
    c.Connect(Hello("b", folder_of_b));
    c.Disconnect("a");
    for (int i = 0; i < 2; ++i) Pass(5);
  }
  static v1::Hello Hello(const std::string& worker, const std::string& folder, uint64_t instance = 1) {
    v1::Hello hello = Cluster::Hello(worker, 1, instance);
    hello.set_artifacts_id(folder);
    return hello;
  }
  // From step 0.
  static v1::RankEvent Started() {
    v1::RankEvent event;
    event.mutable_started()->set_resume_step(0);
    return event;
  }
  // b says that it is there, then time passes.
  void Pass(double seconds) {
    c.Beat("b", {});
    c.Pass(seconds);
  }
  void PassUntilItHasWaited() {
    for (int i = 0; i < 13; ++i) Pass(5);
  }

  Cluster c;
};

TEST_F(CheckpointWait, TheTrialWaitsForTheWorkerThatSeesItsCheckpoint) {
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_PENDING);
  EXPECT_THAT(c.Trial("s-0").reason(), HasSubstr("on host-a, where its checkpoint of step 5 is"));
}

TEST_F(CheckpointWait, ItGoesOnThereWhenThatComesBack) {
  c.Connect(Hello("a", "one", 2));
  EXPECT_EQ(c.LastAttempt("s-0").ranks(0).worker_id(), "a");
  EXPECT_EQ(c.LastAttempt("s-0").resume_step(), 5);
}

TEST_F(CheckpointWait, ItGoesOnWithAnyWorkerThatSeesTheSameFolder) {
  c.Connect(Hello("c", "one"));
  EXPECT_EQ(c.LastAttempt("s-0").ranks(0).worker_id(), "c");
  EXPECT_EQ(c.LastAttempt("s-0").resume_step(), 5);
}

TEST_F(CheckpointWait, ThenItStartsAnewAndSaysWhy) {
  PassUntilItHasWaited();
  const v1::Attempt& attempt = c.LastAttempt("s-0");
  EXPECT_EQ(attempt.ranks(0).worker_id(), "b");
  EXPECT_EQ(attempt.resume_from(), "");
  EXPECT_EQ(
      attempt.anew_reason(),
      "its checkpoint of step 5 is in the artifacts folder of host-a, where it found no free slots for 60 s");
}

// Its curve begins anew, too: with the old checkpoint a later attempt would leave out the steps before it.
TEST_F(CheckpointWait, OnceItHasStartedAnewTheOldCheckpointCountsNoMore) {
  PassUntilItHasWaited();
  c.RunOn("b", "s-0");
  EXPECT_FALSE(c.Trial("s-0").checkpoints().empty()) << "nothing is lost before it trains";
  c.Happen(c.Batch("b", "s-0", {Started()}));
  EXPECT_THAT(c.Trial("s-0").checkpoints(), IsEmpty());
  EXPECT_TRUE(c.last.changes.trials.contains("s-0"));
  c.Connect(Hello("a", "one", 2));
  c.Fail("b", "s-0", v1::FAILURE_CAUSE_WORKER_LOST);
  EXPECT_EQ(c.LastAttempt("s-0").resume_from(), "");
}

TEST_F(CheckpointWait, ItIsDeletedWhenAWorkerThatSeesItIsBack) {
  PassUntilItHasWaited();
  c.RunOn("b", "s-0");
  c.Happen(c.Batch("b", "s-0", {Started()}));
  EXPECT_THAT(c.SentTo("b"), IsEmpty());
  EXPECT_TRUE(c.last.changes.workers.contains("a")) << "also after a restart";
  c.Connect(Hello("a", "one", 2));
  EXPECT_THAT(c.SentTo("a"), ::testing::Contains("delete trials/s-uids/0/3-1/checkpoints/step-5"));
}

// A lost metrics.db has a worker say all of an attempt again.
TEST_F(CheckpointWait, AnAttemptThatSaysItsStartAgainKeepsItsOwn) {
  PassUntilItHasWaited();
  c.RunOn("b", "s-0");
  c.Happen(c.Batch("b", "s-0", {Started(), Cluster::Checkpoint(2)}));
  c.state.live.at("s-0").taken.clear();
  c.events.clear();
  c.Happen(c.Batch("b", "s-0", {Started()}));
  ASSERT_EQ(c.Trial("s-0").checkpoints_size(), 1);
  EXPECT_EQ(c.Trial("s-0").checkpoints(0).step(), 2);
}

TEST_F(CheckpointWait, ACheckpointOfTheNewAttemptIsWhereItGoesOnFrom) {
  PassUntilItHasWaited();
  c.RunOn("b", "s-0");
  c.Happen(c.Batch("b", "s-0", {Cluster::Checkpoint(2)}));
  c.Connect(Hello("a", "one", 2));
  c.Fail("b", "s-0", v1::FAILURE_CAUSE_WORKER_LOST);
  EXPECT_EQ(c.LastAttempt("s-0").ranks(0).worker_id(), "b");
  EXPECT_EQ(c.LastAttempt("s-0").resume_step(), 2);
}

TEST_F(CheckpointWait, OldCheckpointsAreDeletedByAWorkerThatSeesThem) {
  PassUntilItHasWaited();
  c.RunOn("b", "s-0");
  c.Connect(Hello("a", "one", 2));
  c.Happen(c.Batch("b", "s-0", {Cluster::Checkpoint(2), Cluster::Checkpoint(4)}));
  ASSERT_EQ(c.last.commands.size(), 1U);
  EXPECT_EQ(c.last.commands[0].worker_id, "a");
  EXPECT_THAT(c.last.commands[0].message.delete_().paths(), ElementsAre(HasSubstr("step-5")));
}

TEST_F(CheckpointWait, ARestartBeginsTheWaitAgain) {
  c.Restart();
  c.Connect(Hello("b", "two", 2));
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_PENDING);
  PassUntilItHasWaited();
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_PENDING);  // reconnect_grace comes on top
  for (int i = 0; i < 6; ++i) Pass(5);
  EXPECT_EQ(c.LastAttempt("s-0").ranks(0).worker_id(), "b");
}

struct SharedFolder : CheckpointWait {
  SharedFolder() : CheckpointWait("one") {}
};

TEST_F(SharedFolder, NobodyWaits) {
  EXPECT_EQ(c.LastAttempt("s-0").ranks(0).worker_id(), "b");
  EXPECT_EQ(c.LastAttempt("s-0").resume_step(), 5);
  EXPECT_THAT(c.state.checkpoint_until, IsEmpty());
}

}  // namespace
}  // namespace mixln::coordinator::control
