// Streams of workers: who is let in, and what becomes of what they say.
#include <gmock/gmock.h>

#include "coordinator_fixture.h"

namespace mixln::services::coordinatord {
namespace {

using testing::ElementsAre;

TEST_F(CoordinatorTest, AWorkersEventsBecomeCurvesResultsAndAnEnd) {
  Create();
  Worker worker(channel_, 1);
  worker.TrainToTheEnd();
  const auto ack = worker.Read(v1::CoordinatorMessage::kEventAck).event_ack();
  EXPECT_EQ(ack.sequence(), 5U);
  EXPECT_EQ(ack.trial_id(), "alpha-0");
  // Acknowledged is stored.
  EXPECT_THAT(GetCurve("loss").values(), ElementsAre(5.5, 5.25));
  EXPECT_THAT(GetCurve("perplexity").values(), ElementsAre(148.4));

  worker.Report(v1::ATTEMPT_PHASE_ENDED, v1::ATTEMPT_OUTCOME_FINISHED);
  v1::WatchSweepRequest watch;
  watch.set_sweep_id("alpha");
  grpc::ClientContext context;
  rpc::Prepare(context, 60);
  const auto reader = sweeps_->WatchSweep(&context, watch);
  v1::WatchSweepResponse response;
  std::string state;
  while (reader->Read(&response)) {
    for (const auto& trial : response.trials()) state = trial.state();
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(state, "TRIAL_STATE_SUCCEEDED");

  v1::GetResultsRequest request;
  request.set_sweep_id("alpha");
  v1::Results results;
  EXPECT_TRUE(Call(*sweeps_, &v1::SweepService::Stub::GetResults, request, results).ok());
  ASSERT_EQ(results.rows_size(), 1);
  EXPECT_TRUE(results.rows(0).best());
  EXPECT_DOUBLE_EQ(results.rows(0).perplexity_mean(), 148.4);
  EXPECT_DOUBLE_EQ(results.unigram_perplexity(), 300);
}

TEST_F(CoordinatorTest, ARestartKeepsWhatWasAcknowledgedAndTellsTheWorkerHowFarItCame) {
  const auto created = Create();
  v1::Fence fence;
  {
    Worker worker(channel_, 1);
    worker.TrainToTheEnd();
    worker.Read(v1::CoordinatorMessage::kEventAck);
    fence = worker.fence();
  }
  Start();
  EXPECT_EQ(Create().sweep().uid(), created.sweep().uid());
  EXPECT_EQ(GetTrial().state(), v1::TRIAL_STATE_RUNNING);
  EXPECT_THAT(GetCurve("loss").values(), ElementsAre(5.5, 5.25));

  Worker worker(channel_, 1);
  auto& attempt = *worker.hello().add_attempts();
  attempt.set_trial_id("alpha-0");
  *attempt.mutable_fence() = fence;
  attempt.set_phase(v1::ATTEMPT_PHASE_RUNNING);
  attempt.add_ranks(0);
  worker.Greet();
  const auto welcome = worker.Read(v1::CoordinatorMessage::kWelcome).welcome();
  EXPECT_EQ(welcome.term(), 2U);
  ASSERT_EQ(welcome.keep_size(), 1);
  ASSERT_EQ(welcome.cursors_size(), 1);
  EXPECT_EQ(welcome.cursors(0).sequence(), 5U);
}

TEST_F(CoordinatorTest, AWorkerMustSayHelloFirst) {
  Worker worker(channel_, 1);
  worker.Report(v1::ATTEMPT_PHASE_RUNNING);
  EXPECT_EQ(worker.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(CoordinatorTest, ASecondDaemonOfTheSameInstanceIsRefused) {
  Worker first(channel_, 1);
  first.Greet();
  first.Read(v1::CoordinatorMessage::kWelcome);
  Worker second(channel_, 1);
  second.Greet();
  EXPECT_EQ(second.Finish().error_code(), grpc::StatusCode::ALREADY_EXISTS);
}

TEST_F(CoordinatorTest, ANewerInstanceReplacesTheOlderStream) {
  Worker first(channel_, 1);
  first.Greet();
  first.Read(v1::CoordinatorMessage::kWelcome);
  Worker second(channel_, 2);
  second.Greet();
  second.Read(v1::CoordinatorMessage::kWelcome);
  EXPECT_EQ(first.Finish().error_code(), grpc::StatusCode::ABORTED);
}

}  // namespace
}  // namespace mixln::services::coordinatord
