// A whole coordinator over the loopback, with a test as its user and its worker.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "coordinator/store/sqlite_store.h"
#include "coordinator/sweep/parse.h"
#include "mixln/v1/session.grpc.pb.h"
#include "mixln/v1/sweep.grpc.pb.h"
#include "mixln/v1/trial.grpc.pb.h"
#include "mixln/v1/worker.grpc.pb.h"
#include "services/coordinatord/coordinator.h"
#include "services/rpc/client.h"
#include "services/rpc/version.h"

namespace mixln::services::coordinatord {

inline constexpr char kFile[] = R"(apiVersion: mixln/v1
kind: Sweep
metadata: {name: alpha}
spec:
  model: {hidden_size: 32, intermediate_size: 64, layers: 8, heads: 2}
  norm: {placement: mix, alpha: 0.25}
  data: {source: ["corpus/*.txt"], tokenizer: {train: {vocab: 400}}, context: 32}
  train: {steps: 2, batch: {sequences: 4}, lr: 3.0e-3, warmup_steps: 1}
)";

inline v1::CreateSweepRequest Request() {
  const auto parsed = coordinator::sweep::Parse(kFile, "alpha.yaml", false);
  EXPECT_TRUE(parsed.problems.empty());
  v1::CreateSweepRequest request;
  request.set_sweep_id(parsed.name);
  *request.mutable_spec() = parsed.spec;
  return request;
}

// A worker with one CPU slot, as far as the protocol goes.
class Worker {
 public:
  Worker(const std::shared_ptr<grpc::Channel>& channel, uint64_t instance)
      : stub_(v1::WorkerSessionService::NewStub(channel)) {
    rpc::Prepare(context_, 60);
    stream_ = stub_->Connect(&context_);
    hello_.set_worker_id("w1");
    hello_.set_hostname("host");
    hello_.set_version("0.1.0");
    hello_.set_instance(instance);
    hello_.add_slots()->set_device(v1::DEVICE_CPU);
  }
  v1::Hello& hello() { return hello_; }
  void Greet() {
    v1::WorkerMessage message;
    *message.mutable_hello() = hello_;
    stream_->Write(message);
  }
  void Report(v1::AttemptPhase phase, v1::AttemptOutcome outcome = v1::ATTEMPT_OUTCOME_UNSPECIFIED) {
    v1::WorkerMessage message;
    message.mutable_report()->set_trial_id("alpha-0");
    *message.mutable_report()->mutable_fence() = fence_;
    message.mutable_report()->set_phase(phase);
    message.mutable_report()->set_outcome(outcome);
    stream_->Write(message);
  }
  void Fail(v1::FailureCause cause) {
    v1::WorkerMessage message;
    message.mutable_report()->set_trial_id("alpha-0");
    *message.mutable_report()->mutable_fence() = fence_;
    message.mutable_report()->set_phase(v1::ATTEMPT_PHASE_ENDED);
    message.mutable_report()->set_outcome(v1::ATTEMPT_OUTCOME_FAILED);
    message.mutable_report()->set_cause(cause);
    stream_->Write(message);
  }
  v1::RankEvent& AddEvent(v1::WorkerMessage& message, int64_t step) {
    message.mutable_events()->set_trial_id("alpha-0");
    *message.mutable_events()->mutable_fence() = fence_;
    auto& event = *message.mutable_events()->add_events();
    event.set_sequence(++sequence_);
    event.set_step(step);
    return event;
  }
  void Write(const v1::WorkerMessage& message) { stream_->Write(message); }
  // The next message of this kind; others are passed over.
  v1::CoordinatorMessage Read(v1::CoordinatorMessage::MessageCase kind) {
    v1::CoordinatorMessage message;
    while (stream_->Read(&message)) {
      if (message.has_reserve()) fence_ = message.reserve().fence();
      if (message.message_case() == kind) return message;
    }
    ADD_FAILURE() << "the stream ended: " << stream_->Finish().error_message();
    return {};
  }
  grpc::Status Finish() {
    v1::CoordinatorMessage message;
    while (stream_->Read(&message)) {
    }
    return stream_->Finish();
  }
  // Becomes the worker whose rank trains, up to its last event but one.
  void TrainToTheEnd() {
    Greet();
    Read(v1::CoordinatorMessage::kReserve);
    Report(v1::ATTEMPT_PHASE_RESERVED);
    Read(v1::CoordinatorMessage::kStart);
    Report(v1::ATTEMPT_PHASE_RUNNING);
    v1::WorkerMessage message;
    AddEvent(message, 0).mutable_started()->set_unigram_perplexity(300);
    AddEvent(message, 1).mutable_step_done()->set_loss(5.5);
    AddEvent(message, 2).mutable_step_done()->set_loss(5.25);
    auto& eval = *AddEvent(message, 2).mutable_eval_done();
    eval.set_loss(5);
    eval.set_perplexity(148.4);
    AddEvent(message, 2).mutable_finished()->set_train_seconds(3);
    Write(message);
  }
  const v1::Fence& fence() const { return fence_; }

 private:
  std::unique_ptr<v1::WorkerSessionService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::WorkerMessage, v1::CoordinatorMessage>> stream_;
  v1::Hello hello_;
  v1::Fence fence_;
  uint64_t sequence_ = 0;
};

class CoordinatorTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "mixln-coordinator-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    Start();
  }
  void TearDown() override {
    coordinator_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Start() {
    coordinator_.reset();
    auto started = Coordinator::Start(OptionsOf(folder_));
    ASSERT_TRUE(started.ok()) << started.status();
    coordinator_ = std::move(*started);
    channel_ = rpc::Connect(coordinator_->grpc_address());
    sweeps_ = v1::SweepService::NewStub(channel_);
    trials_ = v1::TrialService::NewStub(channel_);
  }
  static Coordinator::Options OptionsOf(const std::filesystem::path& folder) {
    Coordinator::Options options;
    options.listen = "127.0.0.1:0";
    options.metrics_listen = "";
    options.state_dir = folder;
    options.fatal = [](const absl::Status& why) { FAIL() << why; };
    return options;
  }
  // Of the folder, on which no coordinator runs.
  std::string ClusterId() const {
    return (*coordinator::store::SqliteStore::Open(folder_ / "state.db", ""))->Load()->cluster_id;
  }
  // Calls a unary method of a stub with a deadline.
  template <typename Stub, typename Request, typename Response>
  grpc::Status Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    rpc::Prepare(context, 60);
    auto status = (stub.*method)(&context, request, &response);
    EXPECT_TRUE(rpc::CheckServerVersion(context).ok() || !status.ok());
    return status;
  }
  v1::CreateSweepResponse Create(const v1::CreateSweepRequest& request = Request()) {
    v1::CreateSweepResponse response;
    const auto status = Call(*sweeps_, &v1::SweepService::Stub::CreateSweep, request, response);
    EXPECT_TRUE(status.ok()) << rpc::Explain(status);
    return response;
  }
  v1::Trial GetTrial() {
    v1::GetTrialRequest request;
    request.set_trial_id("alpha-0");
    v1::Trial trial;
    const auto status = Call(*trials_, &v1::TrialService::Stub::GetTrial, request, trial);
    EXPECT_TRUE(status.ok()) << rpc::Explain(status);
    return trial;
  }
  v1::Curve GetCurve(const std::string& metric) {
    v1::GetCurveRequest request;
    request.set_trial_id("alpha-0");
    request.set_metric(metric);
    v1::Curve curve;
    EXPECT_TRUE(Call(*trials_, &v1::TrialService::Stub::GetCurve, request, curve).ok());
    return curve;
  }

  std::filesystem::path folder_;
  std::unique_ptr<Coordinator> coordinator_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::SweepService::Stub> sweeps_;
  std::unique_ptr<v1::TrialService::Stub> trials_;
};

}  // namespace mixln::services::coordinatord
