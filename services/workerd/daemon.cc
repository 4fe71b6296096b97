#include "services/workerd/daemon.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/backoff/backoff.h"
#include "base/clock/clock.h"
#include "base/failpoint/failpoint.h"
#include "base/file/durable.h"
#include "base/file/unique_fd.h"
#include "base/version/version.h"
#include "services/daemon/certificate_gauges.h"
#include "services/daemon/disk_gauges.h"
#include "services/daemon/metrics_server.h"
#include "services/rpc/client.h"
#include "services/rpc/kind.h"
#include "services/workerd/coordinator_stream.h"
#include "worker/agent/agent.h"
#include "worker/agent/slots.h"
#include "worker/session/session.h"

namespace mixln::services::workerd {
namespace {

using worker::session::Event;

constexpr base::Duration kTickEvery = base::Seconds(0.1);
// The whole of a --stop-ranks-on-exit, and the part of it that ranks get to stop by themselves.
constexpr base::Duration kExitWithin = base::Seconds(24);
constexpr base::Duration kExitStopGrace = base::Seconds(18);
// For how long a coordinator that knew this daemon may still hold its dead stream for alive.
constexpr base::Duration kAlreadyConnectedPatience = base::Seconds(30);

std::string Hostname() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

class Daemon {
 public:
  Daemon(const DaemonOptions& options, std::unique_ptr<worker::agent::Agent> agent,
         worker::session::Session session, daemon::MetricsServer metrics, std::string worker_id, int slots)
      : options_(options),
        agent_(std::move(agent)),
        session_(std::move(session)),
        metrics_(std::move(metrics)),
        worker_id_(std::move(worker_id)),
        slots_(slots),
        wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        channel_(rpc::Connect(options.coordinator, options.tls)) {
    signal_fd_.reset(signalfd(-1, &options.stop_signals, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  absl::Status Run() {
    auto adopted = agent_->Adopt();
    if (!adopted.ok()) return adopted.status();
    for (Event& event : *adopted) Handle(std::move(event));
    base::failpoint::Hit("worker.adopted");
    while (fatal_.ok() && !finished_) {
      Wait();
      now_ = base::ReadClock().steady;
      HandleSignals();
      HandleStream();
      for (Event& event : agent_->Poll(now_)) Handle(std::move(event));
      if (now_ >= next_tick_) {
        Handle(worker::session::Tick{});
        next_tick_ = now_ + kTickEvery;
      }
      UpdateMetrics();
      if (leave_by_) finished_ = now_ >= *leave_by_ || NothingLeft();
    }
    stream_.reset();
    if (!options_.address_file.empty()) unlink(options_.address_file.c_str());
    return fatal_;
  }

 private:
  void Wait() {
    std::vector<pollfd> fds{{wake_fd_.get(), POLLIN, 0}, {signal_fd_.get(), POLLIN, 0}};
    for (const int fd : agent_->Fds()) fds.push_back({fd, POLLIN, 0});
    poll(fds.data(), fds.size(), static_cast<int>(kTickEvery.count() / 1000));
    uint64_t wakes = 0;
    [[maybe_unused]] const ssize_t n = read(wake_fd_.get(), &wakes, sizeof wakes);
  }

  // Gives an event to the session, carries out what it wants, and gives it the answers.
  void Handle(Event first) {
    std::deque<Event> events;
    events.push_back(std::move(first));
    while (!events.empty() && fatal_.ok()) {
      worker::session::Output output = session_.Step(events.front(), now_);
      events.pop_front();
      std::vector<Event> answers;
      for (const auto& order : output.orders) {
        fatal_ = agent_->Execute(order, now_, answers);
        if (!fatal_.ok()) return;
      }
      for (Event& answer : answers) events.push_back(std::move(answer));
      if (stream_ != nullptr)
        for (v1::WorkerMessage& message : output.messages) {
          base::failpoint::Hit("worker.send", [&] { return rpc::Kind(message); });
          stream_->Send(std::move(message));
        }
      if (!output.close_reason.empty() && stream_ != nullptr) {
        spdlog::warn("leaving the coordinator at {}: {}", options_.coordinator, output.close_reason);
        CloseStream();
        events.emplace_back(worker::session::Disconnected{});
      }
    }
  }

  void HandleSignals() {
    signalfd_siginfo info{};
    if (read(signal_fd_.get(), &info, sizeof info) != sizeof info) return;
    if (leave_by_ || !options_.stop_ranks_on_exit) {
      spdlog::info("stopping; {}", options_.stop_ranks_on_exit
                                       ? "not waiting any longer"
                                       : "ranks go on, and the next daemon adopts them");
      finished_ = true;
      return;
    }
    spdlog::info("stopping: ranks write a checkpoint first");
    leave_by_ = now_ + kExitWithin;
    agent_->SetStopGrace(kExitStopGrace);
    Handle(worker::session::ShutDown{});
  }

  // Whether a daemon that hands everything back can leave: no rank is left, and the coordinator knows, if
  // there is one.
  bool NothingLeft() const {
    if (session_.welcomed()) return session_.attempts().empty();
    for (const auto& [key, attempt] : session_.attempts())
      if (worker::session::HoldsSlots(attempt)) return false;
    return true;
  }

  void HandleStream() {
    if (stream_ == nullptr) {
      if (now_ < next_connect_) return;
      stream_ = std::make_unique<CoordinatorStream>(channel_, wake_fd_.get());
      Handle(worker::session::Connected{});
      return;
    }
    const std::optional<grpc::Status> ended = stream_->Ended();  // before Receive, so that nothing is missed
    for (v1::CoordinatorMessage& message : stream_->Receive()) {
      if (stream_ == nullptr || !fatal_.ok()) return;
      const bool was_welcomed = session_.welcomed();
      base::failpoint::Hit("worker.receive", [&] { return rpc::Kind(message); });
      Handle(worker::session::Received{std::move(message)});
      if (!was_welcomed && session_.welcomed() && fatal_.ok()) OnWelcomed();
    }
    if (!ended || stream_ == nullptr) return;
    OnEnded(*ended);
  }

  void OnWelcomed() {
    spdlog::info("connected to the coordinator at {} as worker {}, term {}", options_.coordinator, worker_id_,
                 session_.highest_term());
    retries_ = 0;
    complaint_.clear();
    refused_since_.reset();
    if (std::exchange(was_welcomed_, true) || options_.address_file.empty()) return;
    const nlohmann::json address{{"metrics", metrics_.address}, {"pid", getpid()}, {"worker_id", worker_id_}};
    fatal_ = base::WriteFileDurably(options_.address_file, address.dump() + "\n");
  }

  void OnEnded(const grpc::Status& status) {
    const std::string words = rpc::Explain(status);
    if (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION) {
      const absl::Status version = stream_->CheckVersion();
      if (!was_welcomed_ || !version.ok())
        fatal_ = absl::FailedPreconditionError(
            absl::StrCat("the coordinator at ", options_.coordinator, " refuses this worker: ", words));
    }
    if (status.error_code() == grpc::StatusCode::ALREADY_EXISTS) {
      if (!refused_since_) refused_since_ = now_;
      if (!was_welcomed_ || now_ > *refused_since_ + kAlreadyConnectedPatience)
        fatal_ =
            absl::AlreadyExistsError(absl::StrCat(words, "; each worker needs a --state-dir of its own"));
    }
    if (fatal_.ok() && std::exchange(complaint_, words) != words)
      spdlog::warn("no connection to the coordinator at {} ({}); trying again and again",
                   options_.coordinator, words);
    CloseStream();
    Handle(worker::session::Disconnected{});
  }

  void CloseStream() {
    stream_.reset();
    const double draw = std::uniform_real_distribution<double>(0, 1)(random_);
    next_connect_ = now_ + base::Backoff({}, retries_++, draw);
  }

  void UpdateMetrics() {
    int busy = 0;
    for (int slot = 0; slot < slots_; ++slot) busy += session_.SlotIsHeld(slot) ? 1 : 0;
    agent_->metrics()->SetWorker(busy, slots_ - busy, session_.welcomed());
  }

  const DaemonOptions& options_;
  std::unique_ptr<worker::agent::Agent> agent_;
  worker::session::Session session_;
  daemon::MetricsServer metrics_;
  const std::string worker_id_;
  const int slots_;
  base::UniqueFd wake_fd_;
  base::UniqueFd signal_fd_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<CoordinatorStream> stream_;
  std::minstd_rand random_{std::random_device()()};  // spreads reconnects only

  base::Time now_ = base::ReadClock().steady;
  base::Time next_tick_;
  base::Time next_connect_;
  int retries_ = 0;
  std::string complaint_;      // said last of this outage
  bool was_welcomed_ = false;  // ever
  std::optional<base::Time> refused_since_;
  std::optional<base::Time> leave_by_;
  bool finished_ = false;
  absl::Status fatal_;
};

// The name of the worker that the certificate is for.
absl::StatusOr<std::string> CertifiedName(const rpc::TlsFiles& files) {
  auto pem = base::ReadFile(files.certificate);
  if (!pem.ok()) return pem.status();
  auto certificate = certificate::Parse(*pem);
  if (!certificate.ok()) return certificate.status();
  if (certificate->identity && certificate->identity->role == certificate::Role::kWorker)
    return certificate->identity->name;
  return absl::FailedPreconditionError(absl::StrCat(
      files.certificate.string(), " is no worker's: make one with `mixlnctl certs issue worker NAME`"));
}

}  // namespace

absl::Status RunDaemon(const DaemonOptions& options) {
  if (options.tls.any()) {
    if (auto status = rpc::CheckTls(options.tls, certificate::Use::kClient); !status.ok()) return status;
  }
  for (const std::string& program : {options.trainer, options.prepare})
    if (access(program.c_str(), X_OK) != 0)
      return base::ErrnoStatus(errno,
                               absl::StrCat("cannot run ", program, "; name it with --trainer or --prepare"));
  auto slots = worker::agent::MakeSlots(worker::agent::ReadMachine(), options.slots);
  if (!slots.ok()) return slots.status();
  worker::agent::AgentOptions agent_options;
  agent_options.state_folder = options.state_dir;
  agent_options.artifacts = options.artifacts;
  agent_options.data_roots = options.data_roots;
  agent_options.shim_program = options.program;
  agent_options.trainer = options.trainer;
  agent_options.prepare = options.prepare;
  agent_options.slots = *slots;
  agent_options.ranks_address = options.ranks_address;
  agent_options.hang = options.hang;
  agent_options.keep_series = options.keep_series;
  auto agent = worker::agent::Agent::Open(std::move(agent_options));
  if (!agent.ok()) return agent.status();
  auto disk = std::make_shared<daemon::DiskGauges>(
      daemon::DiskGauges::Folders{{"state", options.state_dir}, {"artifacts", options.artifacts}});
  auto metrics = daemon::ServeMetrics(
      options.metrics_listen, daemon::MetricsExposure(options.insecure_metrics),
      {(*agent)->metrics(), std::move(disk), std::make_shared<daemon::CertificateGauges>(options.tls)});
  if (!metrics.ok()) return metrics.status();

  worker::session::Options session_options;
  session_options.cluster_id = (*agent)->state().cluster_id();
  session_options.highest_term = (*agent)->state().highest_term();
  v1::Hello& identity = session_options.identity;
  identity.set_worker_id((*agent)->state().worker_id());
  if (options.tls.any()) {  // the coordinator knows it by its certificate
    auto certified = CertifiedName(options.tls);
    if (!certified.ok()) return certified.status();
    identity.set_worker_id(*certified);
  }
  identity.set_instance((*agent)->state().instance());
  identity.set_hostname(Hostname());
  identity.set_version(std::string(base::version::kVersion));
  identity.set_artifacts_id((*agent)->artifacts_id());
  identity.mutable_slots()->Add(slots->begin(), slots->end());
  identity.set_metrics_address(
      absl::StrReplaceAll(metrics->address, {{"0.0.0.0", identity.hostname()}}));  // where others find it
  spdlog::info("{} slots, metrics at http://{}/metrics, state in {}, artifacts in {}", slots->size(),
               metrics->address, options.state_dir.string(), options.artifacts.string());
  std::string worker_id = identity.worker_id();
  worker::session::Session session(std::move(session_options), base::ReadClock().steady);
  return Daemon(options, std::move(*agent), std::move(session), std::move(*metrics), std::move(worker_id),
                static_cast<int>(slots->size()))
      .Run();
}

}  // namespace mixln::services::workerd
