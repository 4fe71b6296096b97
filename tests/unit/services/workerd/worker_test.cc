// The real mixln-worker with the fake trainer, against a coordinator that this test plays.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/file/durable.h"
#include "base/version/version.h"
#include "mixln/v1/session.grpc.pb.h"
#include "services/rpc/version.h"
#include "worker/agent/process.h"

namespace mixln::services::workerd {
namespace {

namespace fs = std::filesystem;
constexpr auto kPatience = std::chrono::seconds(60);

// Says welcome, answers heartbeats, and leaves the rest to the test.
class PlayedCoordinator final : public v1::WorkerSessionService::Service {
 public:
  PlayedCoordinator() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~PlayedCoordinator() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  void RefuseWith(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    refusal_ = status;
  }
  void Keep(const v1::AttemptStatus& status) {
    const std::lock_guard lock(mutex_);
    *keep_.Add() = status;
  }

  // The first message that `wanted` accepts; those before it are dropped.
  v1::WorkerMessage Await(const std::function<bool(const v1::WorkerMessage&)>& wanted) {
    std::unique_lock lock(mutex_);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
      while (!said_.empty()) {
        v1::WorkerMessage message = std::move(said_.front());
        said_.pop_front();
        if (wanted(message)) return message;
      }
      if (changed_.wait_until(lock, deadline) == std::cv_status::timeout)
        throw std::runtime_error("the worker did not say it");
    }
  }
  v1::Hello AwaitHello() {
    return Await([](const auto& message) { return message.has_hello(); }).hello();
  }
  v1::AttemptReport AwaitReport(v1::AttemptPhase phase) {
    return Await(
               [&](const auto& message) { return message.has_report() && message.report().phase() == phase; })
        .report();
  }
  void Say(const v1::CoordinatorMessage& message) {
    const std::lock_guard lock(mutex_);
    if (stream_ != nullptr) stream_->Write(message);
  }

 private:
  using Stream = grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>;

  grpc::Status Connect(grpc::ServerContext* context, Stream* stream) override {
    context->AddInitialMetadata(rpc::kVersionKey, std::string(base::version::kVersion));
    v1::WorkerMessage message;
    while (stream->Read(&message)) {
      const std::lock_guard lock(mutex_);
      if (refusal_) return *refusal_;
      v1::CoordinatorMessage answer;
      if (message.has_hello()) {
        stream_ = stream;
        v1::Welcome& welcome = *answer.mutable_welcome();
        welcome.set_term(4);
        welcome.set_cluster_id("cluster");
        welcome.set_heartbeat_seconds(0.1);
        welcome.set_lease_seconds(20);
        *welcome.mutable_keep() = keep_;
        stream->Write(answer);
      } else if (message.has_heartbeat()) {
        answer.mutable_heartbeat_ack()->set_sequence(message.heartbeat().sequence());
        stream->Write(answer);
      } else if (message.has_events()) {
        v1::EventAck& ack = *answer.mutable_event_ack();
        ack.set_trial_id(message.events().trial_id());
        *ack.mutable_fence() = message.events().fence();
        ack.set_rank(message.events().rank());
        ack.set_sequence(message.events().events().rbegin()->sequence());
        stream->Write(answer);
      }
      said_.push_back(message);
      changed_.notify_all();
    }
    const std::lock_guard lock(mutex_);
    if (stream_ == stream) stream_ = nullptr;
    return grpc::Status::OK;
  }

  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<v1::WorkerMessage> said_;
  google::protobuf::RepeatedPtrField<v1::AttemptStatus> keep_;
  std::optional<grpc::Status> refusal_;
  Stream* stream_ = nullptr;
  std::unique_ptr<grpc::Server> server_;
};

class WorkerDaemon : public testing::Test {
 protected:
  WorkerDaemon() {
    std::string name = (fs::temp_directory_path() / "mixln-workerd-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
    std::ofstream(folder_ / "prepare") << "#!/bin/sh\necho '{\"dataset_dir\":\"/shards\"}'\n";
    chmod((folder_ / "prepare").c_str(), 0755);
    // Ranks wait in their third step until the test lets them go on.
    setenv("MIXLN_FAKE_TRAINER", absl::StrCat("wait:", (folder_ / "go").string(), "@3").c_str(), 1);
  }
  ~WorkerDaemon() override {
    if (pid_ > 0) End(SIGKILL);
    std::ofstream(folder_ / "go") << "go";  // ranks that a test left come to their end
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!Sessions().empty() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // between two looks
    fs::remove_all(folder_);
  }

  // Living processes below the shims that this test's workers started.
  std::vector<pid_t> Sessions() const {
    std::vector<pid_t> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.path().filename() != "shim.json") continue;
      const auto text = base::ReadFile(entry.path());
      const auto shim = text.ok() ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
      if (!shim.is_object()) continue;
      for (const pid_t pid : worker::agent::ProcessesOfSession(shim["pid"])) found.push_back(pid);
    }
    return found;
  }

  void Start(std::vector<std::string> flags = {}) {
    std::vector<std::string> argv{WORKER,
                                  "--coordinator",
                                  coordinator_.address(),
                                  "--state-dir",
                                  folder_ / "state",
                                  "--artifacts",
                                  folder_ / "artifacts",
                                  "--metrics-listen",
                                  "127.0.0.1:0",
                                  "--slots",
                                  "1",
                                  "--trainer",
                                  FAKE_TRAINER,
                                  "--prepare",
                                  folder_ / "prepare",
                                  "--address-file",
                                  folder_ / "address"};
    argv.insert(argv.end(), flags.begin(), flags.end());
    FILE* log = fopen(log_path().c_str(), "w");
    auto process = worker::agent::Spawn(argv, {.folder = {}, .fds = {{fileno(log), 2}}, .environment = {}});
    fclose(log);
    ASSERT_TRUE(process.ok()) << process.status();
    pid_ = process->pid;
  }
  // Sends the signal and returns the exit status.
  int End(int signal) {
    kill(pid_, signal);
    return Wait();
  }
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return status;
  }
  fs::path log_path() const { return folder_ / "log"; }
  std::string Log() const { return *base::ReadFile(log_path()); }

  v1::Reserve SayReserveAndStart() {
    v1::CoordinatorMessage message;
    v1::Reserve& reserve = *message.mutable_reserve();
    reserve.set_trial_id("sweep-0");
    reserve.mutable_fence()->set_term(4);
    reserve.mutable_fence()->set_epoch(1);
    reserve.set_world_size(1);
    reserve.add_ranks();
    reserve.set_trial_dir("trials/sweep-uid/0");
    reserve.mutable_spec()->mutable_train()->set_steps(10);
    coordinator_.Say(message);
    coordinator_.AwaitReport(v1::ATTEMPT_PHASE_RESERVED);
    v1::CoordinatorMessage start;
    start.mutable_start()->set_trial_id("sweep-0");
    *start.mutable_start()->mutable_fence() = reserve.fence();
    coordinator_.Say(start);
    coordinator_.AwaitReport(v1::ATTEMPT_PHASE_RUNNING);
    return reserve;
  }
  void AwaitStep(int step) {
    coordinator_.Await([&](const auto& message) {
      if (!message.has_events()) return false;
      for (const auto& event : message.events().events())
        if (event.has_step_done() && event.step() >= step) return true;
      return false;
    });
  }
  void Release() const { std::ofstream(folder_ / "go") << "go"; }

  fs::path folder_;
  PlayedCoordinator coordinator_;
  pid_t pid_ = 0;
};

TEST_F(WorkerDaemon, RunsAnAttemptFromReserveToItsAcknowledgedEnd) {
  Start();
  const v1::Hello hello = coordinator_.AwaitHello();
  EXPECT_EQ(hello.slots_size(), 1);
  EXPECT_EQ(hello.instance(), 1u);
  SayReserveAndStart();
  Release();
  AwaitStep(10);
  EXPECT_EQ(coordinator_.AwaitReport(v1::ATTEMPT_PHASE_ENDED).outcome(), v1::ATTEMPT_OUTCOME_FINISHED);
  coordinator_.Await(
      [](const auto& message) { return message.has_heartbeat() && message.heartbeat().attempts().empty(); });
  const auto address = nlohmann::json::parse(*base::ReadFile(folder_ / "address"));
  EXPECT_EQ(address["worker_id"], hello.worker_id());
  EXPECT_EQ(address["pid"], pid_);
  EXPECT_EQ(address["metrics"], hello.metrics_address());
  EXPECT_EQ(End(SIGTERM), 0);
}

TEST_F(WorkerDaemon, Promise7KilledItLeavesItsRankToTheNextDaemon) {
  Start();
  coordinator_.AwaitHello();
  v1::AttemptStatus keep;
  const v1::Reserve reserve = SayReserveAndStart();
  keep.set_trial_id(reserve.trial_id());
  *keep.mutable_fence() = reserve.fence();
  AwaitStep(2);
  coordinator_.Keep(keep);
  End(SIGKILL);
  const std::vector<pid_t> before = Sessions();
  EXPECT_EQ(before.size(), 2u) << "shim and rank";
  Start();
  const v1::Hello hello = coordinator_.AwaitHello();
  EXPECT_EQ(hello.instance(), 2u);
  ASSERT_EQ(hello.attempts_size(), 1);
  EXPECT_EQ(hello.attempts(0).phase(), v1::ATTEMPT_PHASE_RUNNING);
  EXPECT_EQ(Sessions(), before);
  Release();
  EXPECT_EQ(coordinator_.AwaitReport(v1::ATTEMPT_PHASE_ENDED).outcome(), v1::ATTEMPT_OUTCOME_FINISHED);
}

TEST_F(WorkerDaemon, TerminatedItLeavesItsRankToTheNextDaemon) {
  Start();
  coordinator_.AwaitHello();
  SayReserveAndStart();
  AwaitStep(2);
  EXPECT_EQ(End(SIGTERM), 0);
  EXPECT_EQ(Sessions().size(), 2u);
}

TEST_F(WorkerDaemon, ToldToItHandsItsAttemptsBackWithACheckpoint) {
  Start({"--stop-ranks-on-exit"});
  coordinator_.AwaitHello();
  SayReserveAndStart();
  AwaitStep(2);
  kill(pid_, SIGTERM);
  EXPECT_TRUE(coordinator_
                  .Await([](const auto& message) {
                    return message.has_heartbeat() && message.heartbeat().draining();
                  })
                  .has_heartbeat());
  const v1::AttemptReport report = coordinator_.AwaitReport(v1::ATTEMPT_PHASE_ENDED);
  EXPECT_EQ(report.cause(), v1::FAILURE_CAUSE_PREEMPTED);
  EXPECT_TRUE(fs::exists(folder_ / "artifacts/trials/sweep-uid/0/4-1/checkpoints/step-000000002"));
  EXPECT_EQ(Wait(), 0);
  EXPECT_TRUE(Sessions().empty());
}

TEST_F(WorkerDaemon, EndsWithWordsWhenAnotherHasItsIdOrItsReleaseIsRefused) {
  for (const auto code : {grpc::StatusCode::ALREADY_EXISTS, grpc::StatusCode::FAILED_PRECONDITION}) {
    coordinator_.RefuseWith({code, "these are the words"});
    Start();
    const int status = Wait();
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 1);
    EXPECT_THAT(Log(), testing::HasSubstr("these are the words"));
  }
}

TEST_F(WorkerDaemon, RefusesTheArtifactsOfAnotherCluster) {
  fs::create_directories(folder_ / "artifacts");
  std::ofstream(folder_ / "artifacts/.mixln-cluster") << "other\n";
  Start();
  const int status = Wait();
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_THAT(Log(), testing::HasSubstr("belongs to cluster other"));
}

}  // namespace
}  // namespace mixln::services::workerd
