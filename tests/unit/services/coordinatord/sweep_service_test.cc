// The API as a user calls it: sweeps are made, refused, paused, tried again; logs are read.
#include <gmock/gmock.h>

#include <thread>

#include "coordinator_fixture.h"

namespace mixln::services::coordinatord {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(CoordinatorTest, AnEqualSweepIsCreatedOnce) {
  const auto first = Create();
  EXPECT_TRUE(first.created());
  EXPECT_EQ(first.cells_size(), 1);
  EXPECT_EQ(first.sweep().counts().pending(), 1);
  const auto second = Create();
  EXPECT_FALSE(second.created());
  EXPECT_EQ(second.sweep().uid(), first.sweep().uid());
}

TEST_F(CoordinatorTest, ASweepThatIsOnlyValidatedIsNotThere) {
  auto request = Request();
  request.set_validate_only(true);
  EXPECT_EQ(Create(request).cells_size(), 1);
  v1::ListSweepsResponse sweeps;
  EXPECT_TRUE(Call(*sweeps_, &v1::SweepService::Stub::ListSweeps, v1::ListSweepsRequest(), sweeps).ok());
  EXPECT_EQ(sweeps.sweeps_size(), 0);
}

TEST_F(CoordinatorTest, EveryProblemOfABadSweepIsSaid) {
  auto request = Request();
  request.mutable_spec()->mutable_base()->mutable_model()->set_heads(5);
  request.mutable_spec()->mutable_base()->mutable_norm()->set_alpha(1.5);
  v1::CreateSweepResponse response;
  const auto status = Call(*sweeps_, &v1::SweepService::Stub::CreateSweep, request, response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(rpc::Explain(status), HasSubstr("nothing was started"));
  EXPECT_THAT(rpc::Explain(status), HasSubstr("\n  model.heads: "));
  EXPECT_THAT(rpc::Explain(status), HasSubstr("\n  norm.alpha: "));
}

TEST_F(CoordinatorTest, WhatIsNotThereIsNotFound) {
  v1::GetSweepRequest request;
  request.set_sweep_id("none");
  v1::Sweep sweep;
  EXPECT_EQ(Call(*sweeps_, &v1::SweepService::Stub::GetSweep, request, sweep).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(CoordinatorTest, AClientOfAnotherMajorVersionIsRefusedInWords) {
  grpc::ClientContext context;
  context.AddMetadata(rpc::kVersionKey, "1.0.0");
  v1::Sweep sweep;
  const auto status = sweeps_->GetSweep(&context, {}, &sweep);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("this client is MixLN 1.0.0"));
}

TEST_F(CoordinatorTest, ATrialIsPausedResumedAndTriedAgain) {
  Create();
  v1::PauseTrialRequest pause;
  pause.set_trial_id("alpha-0");
  v1::Trial trial;
  EXPECT_TRUE(Call(*trials_, &v1::TrialService::Stub::PauseTrial, pause, trial).ok());
  EXPECT_EQ(trial.state(), v1::TRIAL_STATE_PAUSED);
  v1::ResumeTrialRequest resume;
  resume.set_trial_id("alpha-0");
  EXPECT_TRUE(Call(*trials_, &v1::TrialService::Stub::ResumeTrial, resume, trial).ok());
  EXPECT_EQ(trial.state(), v1::TRIAL_STATE_PENDING);
  EXPECT_EQ(Call(*trials_, &v1::TrialService::Stub::ResumeTrial, resume, trial).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);

  v1::RetryTrialRequest retry;
  retry.set_trial_id("alpha-0");
  EXPECT_EQ(Call(*trials_, &v1::TrialService::Stub::RetryTrial, retry, trial).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  v1::CancelTrialRequest cancel;
  cancel.set_trial_id("alpha-0");
  EXPECT_TRUE(Call(*trials_, &v1::TrialService::Stub::CancelTrial, cancel, trial).ok());
  for (int i = 0; i < 2; ++i) {  // the same answer twice
    EXPECT_TRUE(Call(*trials_, &v1::TrialService::Stub::RetryTrial, retry, trial).ok());
    EXPECT_EQ(trial.id(), "alpha-1");
    EXPECT_EQ(trial.retry_of(), "alpha-0");
  }
}

TEST_F(CoordinatorTest, ASweepIsPausedResumedAndItsFailedTrialTriedAgain) {
  Create();
  v1::PauseSweepRequest pause;
  pause.set_sweep_id("alpha");
  v1::Sweep sweep;
  EXPECT_TRUE(Call(*sweeps_, &v1::SweepService::Stub::PauseSweep, pause, sweep).ok());
  EXPECT_EQ(sweep.counts().paused(), 1);
  v1::ResumeSweepRequest resume;
  resume.set_sweep_id("alpha");
  EXPECT_TRUE(Call(*sweeps_, &v1::SweepService::Stub::ResumeSweep, resume, sweep).ok());
  EXPECT_EQ(sweep.counts().pending(), 1);

  v1::RetrySweepRequest retry;
  retry.set_sweep_id("alpha");
  v1::RetrySweepResponse made;
  EXPECT_EQ(Call(*sweeps_, &v1::SweepService::Stub::RetrySweep, retry, made).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  Worker worker(channel_, 1);
  worker.TrainToTheEnd();
  worker.Read(v1::CoordinatorMessage::kEventAck);
  worker.Fail(v1::FAILURE_CAUSE_OUT_OF_MEMORY);
  while (GetTrial().state() != v1::TRIAL_STATE_FAILED) std::this_thread::yield();
  const auto status = Call(*sweeps_, &v1::SweepService::Stub::RetrySweep, retry, made);
  EXPECT_TRUE(status.ok()) << rpc::Explain(status);
  EXPECT_THAT(made.trial_ids(), ElementsAre("alpha-1"));
  EXPECT_EQ(made.sweep().counts().failed(), 0);
  EXPECT_EQ(made.sweep().counts().superseded(), 1);
}

TEST_F(CoordinatorTest, AWorkerIsDrainedAndTakenBack) {
  Worker worker(channel_, 1);
  worker.Greet();
  worker.Read(v1::CoordinatorMessage::kWelcome);
  const auto workers = v1::WorkerAdminService::NewStub(channel_);
  v1::DrainWorkerRequest drain;
  drain.set_worker_id("w1");
  drain.set_reason("new disk");
  v1::Worker answer;
  EXPECT_TRUE(Call(*workers, &v1::WorkerAdminService::Stub::DrainWorker, drain, answer).ok());
  EXPECT_TRUE(answer.drained());
  EXPECT_EQ(answer.state(), v1::WORKER_STATE_DRAINING);
  EXPECT_EQ(answer.reason(), "drained by a user: new disk");
  drain.set_undo(true);
  EXPECT_TRUE(Call(*workers, &v1::WorkerAdminService::Stub::DrainWorker, drain, answer).ok());
  EXPECT_FALSE(answer.drained());
  EXPECT_EQ(answer.state(), v1::WORKER_STATE_READY);
  drain.set_worker_id("none");
  EXPECT_EQ(Call(*workers, &v1::WorkerAdminService::Stub::DrainWorker, drain, answer).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(CoordinatorTest, ALogIsRelayedPieceByPiece) {
  Create();
  Worker worker(channel_, 1);
  worker.TrainToTheEnd();
  std::thread answers([&] {
    for (const bool end : {false, true}) {
      const auto request = worker.Read(v1::CoordinatorMessage::kLogRequest).log_request();
      EXPECT_THAT(request.trial_dir(), testing::StartsWith("trials/alpha-"));
      EXPECT_EQ(request.since().seconds(), 7);
      v1::WorkerMessage message;
      message.mutable_log()->set_request_id(request.request_id());
      message.mutable_log()->set_data(end ? "world" : "hello ");
      message.mutable_log()->set_next_offset(request.offset() + 6);
      message.mutable_log()->set_end(end);
      worker.Write(message);
    }
  });
  v1::ReadLogRequest request;
  request.set_trial_id("alpha-0");
  request.set_offset(100);
  request.mutable_since()->set_seconds(7);
  // The trial has an attempt once its Reserve was sent; TrainToTheEnd has seen that.
  grpc::ClientContext context;
  rpc::Prepare(context, 60);
  const auto reader = trials_->ReadLog(&context, request);
  std::string log;
  v1::ReadLogResponse piece;
  while (reader->Read(&piece)) log += piece.data();
  const auto status = reader->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(log, "hello world");
  EXPECT_EQ(piece.next_offset(), 100 + 12);  // each of the two pieces is said to be 6 bytes
  answers.join();
}

}  // namespace
}  // namespace mixln::services::coordinatord
