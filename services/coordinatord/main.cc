// mixln-coordinator: flags, signals, and how it says that it serves.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "base/file/durable.h"
#include "base/version/version.h"
#include "coordinator/store/backup.h"
#include "services/coordinatord/coordinator.h"
#include "services/daemon/process.h"
#include "services/daemon/tls_flags.h"

namespace {

using mixln::base::Seconds;
using mixln::services::coordinatord::Coordinator;

int Explain(const absl::Status& status) {
  std::cerr << "mixln-coordinator: " << std::string(status.message()) << "\n";
  return EXIT_FAILURE;
}

int Say(const std::string& done, const absl::StatusOr<mixln::coordinator::store::Copy>& copy) {
  if (!copy.ok()) return Explain(copy.status());
  std::cout << done << ": cluster " << copy->cluster_id << ", term " << copy->term << ", " << copy->sweeps
            << (copy->sweeps == 1 ? " sweep, " : " sweeps, ") << copy->trials
            << (copy->trials == 1 ? " trial\n" : " trials\n");
  return EXIT_SUCCESS;
}

// What is on disk can no longer be relied on: the next start reads what is there.
[[noreturn]] void Die(const absl::Status& status) {
  spdlog::critical("stopping at once: {}", std::string(status.message()));
  std::_Exit(EXIT_FAILURE);
}

}  // namespace

int main(int argc, char** argv) {
  Coordinator::Options options;
  options.state_dir = mixln::services::daemon::StateHome() / "coordinator";
  options.fatal = Die;
  std::string address_file;
  double lease = mixln::base::ToSeconds(options.control.lease);
  double heartbeat = mixln::base::ToSeconds(options.control.heartbeat);
  double reconnect_grace = mixln::base::ToSeconds(options.control.reconnect_grace);
  double checkpoint_wait = mixln::base::ToSeconds(options.control.checkpoint_wait);
  double retry = mixln::base::ToSeconds(options.control.retry_backoff.initial);
  CLI::App app("Schedules MixLN's sweeps onto workers and keeps their results.", "mixln-coordinator");
  app.set_version_flag("--version", std::string(mixln::base::version::kVersion));
  app.add_option("--listen", options.listen, "host:port to serve gRPC on; port 0: any free one")
      ->capture_default_str();
  app.add_option("--metrics-listen", options.metrics_listen, "host:port to serve /metrics on; empty: do not")
      ->capture_default_str();
  mixln::services::daemon::AddTlsFlags(app, options.tls, "this coordinator's");
  app.add_option("--tokens", options.access.tokens,
                 "file of tokens that speak for callers without a certificate; read again when it changes");
  app.add_option(
      "--revoked", options.access.revoked,
      "file of identities and serial numbers that are no longer let in; read again when it changes");
  app.add_flag("--insecure-no-tls", options.insecure_no_tls,
               "serve gRPC off the loopback without TLS: whoever reaches it may do everything");
  app.add_flag("--insecure-metrics", options.insecure_metrics,
               "serve /metrics off the loopback: whoever reaches it may read it");
  app.add_option("--state-dir", options.state_dir, "folder of the databases, on a local disk")
      ->capture_default_str();
  app.add_option("--address-file", address_file,
                 "file to write the bound addresses to, as JSON, once it serves");
  app.add_option("--checkpoint-wait-seconds", checkpoint_wait,
                 "how long a trial waits for a worker that sees its checkpoint, where workers have artifacts "
                 "folders of "
                 "their own, before it starts anew on another")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  // For tests; not shown.
  app.add_option("--lease-seconds", lease)->check(CLI::PositiveNumber)->group("");
  app.add_option("--heartbeat-seconds", heartbeat)->check(CLI::PositiveNumber)->group("");
  app.add_option("--reconnect-grace-seconds", reconnect_grace)->check(CLI::PositiveNumber)->group("");
  app.add_option("--retry-seconds", retry)->check(CLI::PositiveNumber)->group("");
  std::filesystem::path copy;
  app.fallthrough();
  CLI::App* backup = app.add_subcommand("backup", "copy the state folder, also of a coordinator that runs");
  backup->add_option("folder", copy, "new folder to copy it to")->required();
  CLI::App* restore = app.add_subcommand("restore", "fill a new state folder from a backup");
  restore->add_option("folder", copy, "the backup")->required();
  CLI11_PARSE(app, argc, argv);
  if (backup->parsed())
    return Say("backed up to " + copy.string(), mixln::coordinator::store::Backup(options.state_dir, copy));
  if (restore->parsed())
    return Say("restored to " + options.state_dir.string(),
               mixln::coordinator::store::Restore(copy, options.state_dir));
  options.control.lease = Seconds(lease);
  options.control.heartbeat = Seconds(heartbeat);
  options.control.reconnect_grace = Seconds(reconnect_grace);
  options.control.checkpoint_wait = Seconds(checkpoint_wait);
  options.control.retry_backoff.initial = Seconds(retry);

  mixln::services::daemon::SetUpLog("coordinator");
  const sigset_t signals = mixln::services::daemon::BlockStopSignals();

  auto coordinator = Coordinator::Start(options);
  if (!coordinator.ok()) return Explain(coordinator.status());
  const std::string grpc_address = (*coordinator)->grpc_address();
  const std::string metrics_address = (*coordinator)->metrics_address();
  if (options.insecure_no_tls && !options.tls.any())
    spdlog::warn("gRPC is served without TLS: whoever reaches {} may do everything", grpc_address);
  spdlog::info("serving gRPC on {}, /metrics on {}, state in {}", grpc_address, metrics_address,
               options.state_dir.string());
  if (!address_file.empty()) {
    const nlohmann::json addresses = {
        {"grpc", grpc_address}, {"metrics", metrics_address}, {"pid", getpid()}};
    const auto written = mixln::base::WriteFileDurably(address_file, addresses.dump() + "\n");
    if (!written.ok()) return Explain(written);
  }

  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("stopping: {}", signal == SIGINT ? "SIGINT" : "SIGTERM");
  coordinator->reset();
  std::error_code ignored;
  if (!address_file.empty()) std::filesystem::remove(address_file, ignored);
  return EXIT_SUCCESS;
}
