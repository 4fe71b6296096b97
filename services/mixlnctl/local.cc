// `up` and `down`: a coordinator and a worker on this machine.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <ostream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file/durable.h"
#include "base/file/lock_file.h"
#include "services/mixlnctl/daemon.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/libtorch.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kReadySeconds = 60;
constexpr int kLogLines = 10;

struct UpOptions {
  std::string state_folder;
  int port = 7410;
  int metrics_port = 7411;
  int worker_metrics_port = 7412;
  int slots = 0;
  std::string artifacts;
  bool leave_ranks = false;
};

struct DownOptions {
  std::string state_folder;
  double timeout_seconds = 120;
  bool force = false;
};

std::filesystem::path StateFolder(const Io& io, const std::string& given) {
  std::error_code error;
  const std::filesystem::path folder = given.empty() ? DefaultStateFolder(io) : std::filesystem::path(given);
  const auto absolute = std::filesystem::absolute(folder, error);
  return error ? folder : absolute.lexically_normal();
}

// Stops on destruction what was started and not kept.
class Undo {
 public:
  ~Undo() {
    for (auto daemon = started_.rbegin(); daemon != started_.rend(); ++daemon) {
      StopDaemon(*daemon, /*seconds=*/10, /*force=*/true).IgnoreError();
    }
  }
  void Add(const Daemon& daemon) { started_.push_back(daemon); }
  void Keep() { started_.clear(); }

 private:
  std::vector<Daemon> started_;
};

absl::Status CheckPrograms(const Io& io, const std::vector<const Daemon*>& daemons) {
  for (const Daemon* daemon : daemons) {
    if (access(daemon->program.c_str(), X_OK) == 0) continue;
    return absl::NotFoundError(absl::StrCat(daemon->name, " is not beside mixlnctl in ",
                                            io.program_folder.string(), ": build or install it there"));
  }
  const auto warn = [&](absl::string_view what) {
    io.err << io.err_style.Yellow("warning:") << " " << what << "\n";
  };
  if (auto trainer = CheckTrainer(io.program_folder); !trainer.ok())
    warn(absl::StrCat("trials cannot run yet: ", trainer.message()));
  if (access((io.program_folder / "mixln-prepare").c_str(), X_OK) != 0) {
    warn(absl::StrCat("mixln-prepare is not beside mixlnctl in ", io.program_folder.string(),
                      ": trials cannot run without it"));
  }
  return absl::OkStatus();
}

// FAILED_PRECONDITION with the daemon's last words when it has ended.
absl::Status StillRuns(const Daemon& daemon) {
  if (RunningProcess(daemon)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(daemon.name, " has ended and said:\n", LastLines(daemon.log, 0, kLogLines)));
}

absl::StatusOr<v1::GetVersionResponse> WaitUntilServing(const Daemon& daemon, const std::string& address) {
  const auto end = Clock::now() + std::chrono::seconds(static_cast<int>(kReadySeconds));
  while (true) {
    if (auto runs = StillRuns(daemon); !runs.ok()) return runs;
    absl::StatusOr<v1::GetVersionResponse> version = absl::UnknownError("");
    if (auto client = Client::Connect({address, "mixlnctl up"}); client.ok()) {
      version = (*client)->Call((*client)->workers(), &v1::WorkerAdminService::Stub::GetVersion,
                                v1::GetVersionRequest());
      if (version.ok()) return version;
    } else {
      version = client.status();
    }
    if (Clock::now() > end || absl::IsFailedPrecondition(version.status())) return version.status();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// Waits until the worker with these metrics has a lease; polls, as there is no stream of workers.
absl::StatusOr<v1::Worker> WaitUntilReady(const Daemon& daemon, const std::string& address,
                                          const std::string& metrics) {
  auto client = Client::Connect({address, "mixlnctl up"});
  if (!client.ok()) return client.status();
  const std::string port = metrics.substr(metrics.rfind(':') + 1);
  const auto end = Clock::now() + std::chrono::seconds(static_cast<int>(kReadySeconds));
  while (true) {
    if (auto runs = StillRuns(daemon); !runs.ok()) return runs;
    auto list = (*client)->CallUntilAnswered((*client)->workers(), &v1::WorkerAdminService::Stub::ListWorkers,
                                             v1::ListWorkersRequest());
    if (!list.ok()) return list.status();
    for (v1::Worker& worker : *list->mutable_workers()) {
      const bool ours = absl::EndsWith(worker.metrics_address(), absl::StrCat(":", port));
      if (ours && worker.state() == v1::WORKER_STATE_READY) return std::move(worker);
    }
    if (Clock::now() > end) {
      return absl::DeadlineExceededError(absl::StrCat(daemon.name, " has not become READY within ",
                                                      kReadySeconds, " s; it said:\n",
                                                      LastLines(daemon.log, 0, kLogLines)));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// What the daemons call a listener, `up` calls a port.
absl::Status WithPortHint(const absl::Status& status) {
  const std::string message(status.message());
  if (!absl::StrContains(message, "in use")) return status;
  return absl::Status(status.code(), absl::StrCat(message,
                                                  "\n`mixlnctl up` takes other ports with --port, "
                                                  "--metrics-port and --worker-metrics-port"));
}

std::string Loopback(int port) {
  return absl::StrCat("127.0.0.1:", port);
}

absl::StatusOr<int> Up(Session& session, const UpOptions& options) {
  Io& io = session.io;
  const std::filesystem::path state = StateFolder(io, options.state_folder);
  const Daemon coordinator = LocalDaemon(io.program_folder, state, "coordinator");
  const Daemon worker = LocalDaemon(io.program_folder, state, "worker");
  if (auto made = base::MakeFolders(state / "run"); !made.ok()) {
    return absl::Status(made.code(), absl::StrCat(std::string(made.message()),
                                                  ": choose a folder that you can write with --state-dir"));
  }
  // Two `up` at once would start two of each.
  auto lock = base::LockFile::Lock(state / "run" / "lock");
  if (!lock.ok()) {
    return absl::Status(lock.status().code(),
                        absl::StrCat(std::string(lock.status().message()),
                                     ": choose a folder that you can write with --state-dir"));
  }
  Undo undo;
  bool was_up = true;

  DaemonAddress at;
  const auto running = RunningProcess(coordinator);
  if (const auto known = running ? ReadAddress(coordinator, running->pid) : std::nullopt) {
    at = *known;
  } else {
    was_up = false;
    if (auto there = CheckPrograms(io, {&coordinator, &worker}); !there.ok()) return there;
    undo.Add(coordinator);
    auto started = StartDaemon(
        coordinator, {"--listen", Loopback(options.port), "--metrics-listen", Loopback(options.metrics_port),
                      "--state-dir", state / "coordinator", "--address-file", coordinator.address});
    if (!started.ok()) return WithPortHint(started.status());
    at = *std::move(started);
  }
  auto version = WaitUntilServing(coordinator, at.grpc);
  if (!version.ok()) return version.status();

  DaemonAddress worker_at;
  const auto working = RunningProcess(worker);
  if (const auto known = working ? ReadAddress(worker, working->pid) : std::nullopt) {
    worker_at = *known;
  } else {
    if (was_up) {
      if (auto there = CheckPrograms(io, {&worker}); !there.ok()) return there;
    }
    was_up = false;
    const std::string artifacts =
        options.artifacts.empty() ? state / "artifacts" : std::filesystem::absolute(options.artifacts);
    std::vector<std::string> arguments{
        "--coordinator",  at.grpc,       "--state-dir",      state / "worker",
        "--artifacts",    artifacts,     "--metrics-listen", Loopback(options.worker_metrics_port),
        "--address-file", worker.address};
    if (options.slots > 0) arguments.insert(arguments.end(), {"--slots", absl::StrCat(options.slots)});
    if (!options.leave_ranks) arguments.emplace_back("--stop-ranks-on-exit");
    undo.Add(worker);
    auto started = StartDaemon(worker, arguments);
    if (!started.ok()) return WithPortHint(started.status());
    worker_at = *std::move(started);
  }
  auto ready = WaitUntilReady(worker, at.grpc, worker_at.metrics);
  if (!ready.ok()) return ready.status();
  undo.Keep();

  io.err << (was_up ? "already up" : "up") << ": a coordinator and a worker with "
         << Plural(ready->slots_size(), "slot") << "\n";
  io.out << "coordinator  " << at.grpc << "\n"
         << "metrics      http://" << at.metrics << "/metrics, http://" << worker_at.metrics << "/metrics\n"
         << "state        " << state.string() << "\n"
         << "logs         " << coordinator.log.string() << ", " << worker.log.string() << "\n";
  io.err << "next:\n";
  const auto target = ResolveTarget(io, {});
  const bool found_by_default = target.ok() && target->address == at.grpc;
  const auto next = [&](const std::string& command) { io.err << "  " << io.err_style.Cyan(command) << "\n"; };
  if (!found_by_default) next(absl::StrCat("export MIXLN_COORDINATOR=", at.grpc));
  next("mixlnctl nodes");
  next("mixlnctl submit --follow FILE");
  next(options.state_folder.empty() ? "mixlnctl down"
                                    : absl::StrCat("mixlnctl down --state-dir ", state.string()));
  return kOk;
}

absl::StatusOr<int> Down(Session& session, const DownOptions& options) {
  Io& io = session.io;
  const std::filesystem::path state = StateFolder(io, options.state_folder);
  const Daemon coordinator = LocalDaemon(io.program_folder, state, "coordinator");
  const Daemon worker = LocalDaemon(io.program_folder, state, "worker");
  std::error_code error;
  bool any = false;
  if (std::filesystem::exists(state / "run", error)) {
    auto lock = base::LockFile::Lock(state / "run" / "lock");
    if (!lock.ok()) return lock.status();
    // The worker first: its ranks' last events and checkpoints still reach the coordinator.
    for (const Daemon* daemon : {&worker, &coordinator}) {
      if (RunningProcess(*daemon)) {
        any = true;
        io.err << "stopping " << daemon->name << std::endl;
      }
      if (auto stopped = StopDaemon(*daemon, options.timeout_seconds, options.force); !stopped.ok())
        return stopped;
    }
  }
  if (any) {
    io.err << "down; `mixlnctl up` goes on where it was\n";
  } else {
    io.err << "nothing runs that `mixlnctl up` started with the state folder " << state.string() << "\n";
  }
  return kOk;
}

}  // namespace

void AddLocalCommands(CLI::App& app, Session& session) {
  auto up = std::make_shared<UpOptions>();
  CLI::App* up_command =
      app.add_subcommand("up", "Start a coordinator and a worker on this machine")->group("Start");
  up_command
      ->add_option("--state-dir", up->state_folder,
                   "Folder of state, logs and artifacts (default: ~/.local/state/mixln)")
      ->type_name("DIR");
  const CLI::Range ports(0, 65535);
  up_command->add_option("--port", up->port, "Port of the coordinator; 0: any free one")
      ->check(ports)
      ->type_name("N")
      ->capture_default_str();
  up_command
      ->add_option("--metrics-port", up->metrics_port, "Port of the coordinator's /metrics; 0: any free one")
      ->check(ports)
      ->type_name("N")
      ->capture_default_str();
  up_command
      ->add_option("--worker-metrics-port", up->worker_metrics_port,
                   "Port of the worker's /metrics; 0: any free one")
      ->check(ports)
      ->type_name("N")
      ->capture_default_str();
  up_command
      ->add_option("--slots", up->slots, "Trials that run at a time (default: a GPU each, else by CPU cores)")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  up_command
      ->add_option("--artifacts", up->artifacts,
                   "Folder of checkpoints and logs (default: artifacts/ in the state folder)")
      ->type_name("DIR");
  up_command->add_flag("--leave-ranks", up->leave_ranks, "Let trials train on when `down` stops the worker");
  up_command->callback([&session, up] { session.action = [&session, up] { return Up(session, *up); }; });

  auto down = std::make_shared<DownOptions>();
  CLI::App* down_command =
      app.add_subcommand("down",
                         "Stop what `up` started; trials write a checkpoint and go on at the next `up`")
          ->group("Start");
  down_command->add_option("--state-dir", down->state_folder, "State folder given to `up`")->type_name("DIR");
  down_command
      ->add_option("--timeout", down->timeout_seconds, "Seconds to wait for checkpoints and a clean end")
      ->check(CLI::PositiveNumber)
      ->type_name("SECONDS")
      ->capture_default_str();
  down_command->add_flag("--force", down->force, "Kill what has not stopped by then");
  down_command->callback(
      [&session, down] { session.action = [&session, down] { return Down(session, *down); }; });
}

}  // namespace mixln::services::mixlnctl
