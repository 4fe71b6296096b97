// Submitting and cancelling sweeps.
#include <gmock/gmock.h>

#include "cluster.h"

namespace mixln::coordinator::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Submit, MakesAPendingTrialForEachCell) {
  Cluster c;
  c.Submit("s", 2);
  EXPECT_TRUE(c.last.outcome.ok());
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_PENDING);
  EXPECT_EQ(c.StateOf("s-1"), v1::TRIAL_STATE_PENDING);
  EXPECT_EQ(c.state.sweeps.at("s").counts().pending(), 2);
  EXPECT_EQ(c.state.sweeps.at("s").artifact_uri(), "trials/s-uids");
  EXPECT_THAT(c.last.changes.trials, ElementsAre("s-0", "s-1"));
  EXPECT_THAT(c.last.changes.sweeps, ElementsAre("s"));
}

TEST(Submit, TheSameNameWithAnEqualSpecIsTheSameSweep) {
  Cluster c;
  c.Submit("s", 1);
  SweepSubmitted again = Cluster::Sweep("s", 1);
  again.sweep.set_uid("other");
  c.Happen(again);
  EXPECT_TRUE(c.last.outcome.ok());
  EXPECT_TRUE(c.last.changes.empty());
  EXPECT_EQ(c.state.sweeps.at("s").uid(), "uids");
}

TEST(Submit, TheSameNameWithAnotherSpecIsRefusedNamingTheDifference) {
  Cluster c;
  c.Submit("s", 1);
  SweepSubmitted other = Cluster::Sweep("s", 1);
  other.sweep.mutable_spec()->mutable_base()->mutable_train()->set_lr(0.5);
  c.Happen(other);
  EXPECT_EQ(c.last.outcome.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(c.last.outcome.message()), HasSubstr("base.train.lr: 0.001 -> 0.5"));
}

TEST(Submit, ARepeatedRequestGetsTheSameAnswer) {
  Cluster c;
  SweepSubmitted first = Cluster::Sweep("s", 1);
  first.sweep.set_request_id("r");
  c.Happen(first);
  c.Happen(first);
  EXPECT_TRUE(c.last.outcome.ok());
  EXPECT_TRUE(c.last.changes.empty());
}

TEST(Submit, ARequestIdOfAnotherSweepIsRefused) {
  Cluster c;
  SweepSubmitted first = Cluster::Sweep("s", 1);
  first.sweep.set_request_id("r");
  c.Happen(first);
  SweepSubmitted second = Cluster::Sweep("t", 1);
  second.sweep.set_request_id("r");
  EXPECT_EQ(c.Happen(second).outcome.code(), absl::StatusCode::kInvalidArgument);
}

TEST(Submit, AGangThatCanNeverFitIsRefusedAndNothingIsKept) {
  Cluster c;
  c.Connect("a", 2);
  c.Submit("s", 1, 3);
  EXPECT_EQ(c.last.outcome.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(c.state.sweeps.empty());
  EXPECT_TRUE(c.state.trials.empty());
}

TEST(Submit, WithNoWorkerKnownTheTrialWaitsAndSaysSo) {
  Cluster c;
  c.Submit("s", 1, 64);
  EXPECT_TRUE(c.last.outcome.ok());
  c.Pass(1);
  EXPECT_THAT(c.Trial("s-0").reason(), HasSubstr("waiting for a worker"));
}

TEST(Cancel, AWaitingTrialEndsAtOnce) {
  Cluster c;
  c.Submit("s", 1);
  c.Happen(TrialCancelled{"s-0"});
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_CANCELLED);
  EXPECT_TRUE(c.Trial("s-0").has_end_time());
}

TEST(Cancel, ALiveTrialIsStoppedAndEndsWhenItsRanksHave) {
  Cluster c;
  c.Connect("a", 1);
  c.Submit("s", 1);
  c.RunOn("a", "s-0");
  c.Happen(TrialCancelled{"s-0"});
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_STOPPING);
  EXPECT_THAT(c.SentTo("a"), ElementsAre("stop s-0 3-1 now"));
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_CANCELLED);
}

TEST(Cancel, ThatIsCommittedBeforeTheLastReportWins) {
  Cluster c;
  c.Connect("a", 1);
  c.Submit("s", 1);
  c.RunOn("a", "s-0");
  c.Happen(TrialCancelled{"s-0"});
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_FINISHED);
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_CANCELLED);
}

TEST(Cancel, AnEndedTrialStaysAsItIs) {
  Cluster c;
  c.Connect("a", 1);
  c.Submit("s", 1);
  c.RunOn("a", "s-0");
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_FINISHED);
  c.Happen(TrialCancelled{"s-0"});
  EXPECT_TRUE(c.last.outcome.ok());
  EXPECT_EQ(c.StateOf("s-0"), v1::TRIAL_STATE_SUCCEEDED);
}

TEST(Cancel, OfASweepEndsAllItsTrialsAndTheSweep) {
  Cluster c;
  c.Connect("a", 1);
  c.Submit("s", 3);
  c.Submit("s-1", 1);  // its trial is s-1-0: not of sweep s
  c.Happen(SweepCancelled{"s"});
  EXPECT_FALSE(c.state.sweeps.at("s").has_end_time());
  c.End("a", "s-0", v1::ATTEMPT_OUTCOME_STOPPED);
  EXPECT_EQ(c.state.sweeps.at("s").counts().cancelled(), 3);
  EXPECT_TRUE(c.state.sweeps.at("s").has_end_time());
  EXPECT_NE(c.StateOf("s-1-0"), v1::TRIAL_STATE_CANCELLED);
}

TEST(Cancel, OfWhatIsNotThereIsNotFound) {
  Cluster c;
  EXPECT_EQ(c.Happen(TrialCancelled{"s-0"}).outcome.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(c.Happen(SweepCancelled{"s"}).outcome.code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace mixln::coordinator::control
