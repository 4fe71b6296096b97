// The whole coordinator over the loopback, with this test as its user and its worker.
#include "services/coordinatord/coordinator.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/file/unique_fd.h"
#include "coordinator/store/curve_store.h"
#include "coordinator/store/sqlite_store.h"
#include "coordinator/sweep/parse.h"
#include "mixln/v1/session.grpc.pb.h"
#include "mixln/v1/sweep.grpc.pb.h"
#include "mixln/v1/trial.grpc.pb.h"
#include "mixln/v1/worker.grpc.pb.h"
#include "services/rpc/client.h"
#include "services/rpc/version.h"

namespace mixln::services::coordinatord {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kFile[] = R"(apiVersion: mixln/v1
kind: Sweep
metadata: {name: alpha}
spec:
  model: {hidden_size: 32, intermediate_size: 64, layers: 8, heads: 2}
  norm: {placement: mix, alpha: 0.25}
  data: {source: ["corpus/*.txt"], tokenizer: {train: {vocab: 400}}, context: 32}
  train: {steps: 2, batch: {sequences: 4}, lr: 3.0e-3, warmup_steps: 1}
)";

v1::CreateSweepRequest Request() {
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

TEST_F(CoordinatorTest, ItsAddressesAndFolderAreItsOwn) {
  const auto same_folder = Coordinator::Start(OptionsOf(folder_));
  EXPECT_THAT(std::string(same_folder.status().message()), HasSubstr("is used by another coordinator"));
  auto options = OptionsOf(folder_ / "other");
  options.listen = coordinator_->grpc_address();
  EXPECT_THAT(std::string(Coordinator::Start(options).status().message()), HasSubstr("the port is in use"));
}

TEST_F(CoordinatorTest, CurvesWithoutATrialAreForgottenAtTheNextStart) {
  coordinator_.reset();
  {
    auto curves = *coordinator::store::CurveStore::Open(folder_ / "metrics.db", ClusterId(), {});
    v1::EventBatch batch;
    batch.set_trial_id("alpha-0");
    batch.add_events()->set_sequence(1);
    ASSERT_TRUE(curves->Append(batch, [](uint64_t) {}).ok());
  }
  Start();
  coordinator_.reset();
  EXPECT_TRUE(
      (*coordinator::store::CurveStore::Open(folder_ / "metrics.db", ClusterId(), {}))->TrialIds()->empty());
}

// A call of any method, as bytes.
grpc::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                     grpc::ByteBuffer& answer) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  rpc::Prepare(context, 60);
  grpc::CompletionQueue queue;
  grpc::Slice nothing;
  const auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&nothing, 1), &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status;
}

TEST_F(CoordinatorTest, IsHealthy) {
  grpc::ByteBuffer answer;
  ASSERT_TRUE(CallRaw(channel_, "/grpc.health.v1.Health/Check", answer).ok());
  grpc::Slice bytes;
  ASSERT_TRUE(answer.DumpToSingleSlice(&bytes).ok());
  // HealthCheckResponse with field 1, status, = 1, SERVING.
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "\x08\x01");
}

// What an HTTP server answers to GET /metrics.
std::string Scrape(const std::string& address) {
  const base::UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  where.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
  constexpr char kRequest[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  EXPECT_GT(write(fd.get(), kRequest, sizeof kRequest - 1), 0);
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(fd.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  return text;
}

TEST_F(CoordinatorTest, ItsMetricsCountTrialsSlotsAndCalls) {
  coordinator_.reset();
  auto options = OptionsOf(folder_);
  options.metrics_listen = "127.0.0.1:0";
  coordinator_ = std::move(*Coordinator::Start(options));
  channel_ = rpc::Connect(coordinator_->grpc_address());
  sweeps_ = v1::SweepService::NewStub(channel_);
  Create();
  Worker worker(channel_, 1);
  worker.TrainToTheEnd();
  worker.Read(v1::CoordinatorMessage::kEventAck);
  const std::string text = Scrape(coordinator_->metrics_address());
  EXPECT_THAT(text, HasSubstr("mixln_trials{state=\"running\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("mixln_trials{state=\"pending\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("mixln_slots{state=\"taken\"} "));
  EXPECT_THAT(text, HasSubstr("mixln_queue_wait_seconds_count 1\n"));
  EXPECT_THAT(text, HasSubstr("mixln_commit_seconds_count{database=\"curves\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("mixln_grpc_server_handled_total{code=\"OK\",method=\"/mixln.v1.SweepService/"
                              "CreateSweep\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("mixln_build_info{version=\"0.1.0\"} 1\n"));
}

TEST_F(CoordinatorTest, StoppingEndsOpenStreamsAtOnce) {
  Create();
  Worker worker(channel_, 1);
  worker.Greet();
  worker.Read(v1::CoordinatorMessage::kWelcome);
  grpc::ClientContext context;
  rpc::Prepare(context, 60);
  v1::WatchSweepRequest watch;
  watch.set_sweep_id("alpha");
  const auto reader = sweeps_->WatchSweep(&context, watch);
  v1::WatchSweepResponse response;
  ASSERT_TRUE(reader->Read(&response));
  coordinator_.reset();
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(worker.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace mixln::services::coordinatord
