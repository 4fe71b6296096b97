// mixln-worker: one host's daemon; and, as `mixln-worker rank-shim`, the parent of one of its ranks.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <span>
#include <string>

#include "base/version/version.h"
#include "services/daemon/process.h"
#include "services/daemon/tls_flags.h"
#include "services/workerd/daemon.h"
#include "worker/agent/rank_shim.h"

int main(int argc, char** argv) {
  // Before anything else is initialized: a shim lives as long as its rank and should weigh nothing.
  if (argc > 1 && std::strcmp(argv[1], mixln::worker::agent::kRankShim) == 0)
    return mixln::worker::agent::RunRankShim(std::span(argv, static_cast<size_t>(argc)).subspan(2));

  mixln::services::workerd::DaemonOptions options;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  options.program = program;
  options.trainer = program.parent_path() / "mixln-trainer";
  options.prepare = program.parent_path() / "mixln-prepare";
  options.state_dir = mixln::services::daemon::StateHome() / "worker";
  options.artifacts = mixln::services::daemon::StateHome() / "artifacts";
  CLI::App app("Offers this machine's GPUs or CPU cores to a MixLN coordinator and trains on them.",
               "mixln-worker");
  app.set_version_flag("--version", std::string(mixln::base::version::kVersion));
  app.add_option("--coordinator", options.coordinator, "host:port of the coordinator")
      ->envname("MIXLN_COORDINATOR")
      ->capture_default_str();
  mixln::services::daemon::AddTlsFlags(app, options.tls, "this worker's");
  app.add_flag("--insecure-metrics", options.insecure_metrics,
               "serve /metrics off the loopback: whoever reaches it may read it");
  app.add_option("--state-dir", options.state_dir,
                 "folder for this worker's identity and its ranks, on a local disk")
      ->capture_default_str();
  app.add_option("--artifacts", options.artifacts,
                 "folder for checkpoints and prepared data, the same for all workers")
      ->capture_default_str();
  app.add_option(
      "--data-root", options.data_roots,
      "folder that the data, tokenizers and initial weights of sweeps may lie in, links followed; several "
      "times for several (default: anywhere)");
  app.add_option("--slots", options.slots,
                 "ranks at a time; 0: one a GPU, or 2 where there are two cores and no GPU")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--metrics-listen", options.metrics_listen,
                 "host:port to serve /metrics on; port 0: any free one")
      ->capture_default_str();
  double keep_series = mixln::base::ToSeconds(options.keep_series);
  app.add_option("--metrics-keep-seconds", keep_series,
                 "how long the series of a trial stay in /metrics after its end, so that the last values are "
                 "scraped: several scrapes' time")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option(
         "--ranks-address", options.ranks_address,
         "IPv4 address of this host at which ranks on other workers' hosts reach its ranks; a trial whose "
         "ranks are spread over hosts needs it")
      ->capture_default_str();
  app.add_option("--trainer", options.trainer, "the program that trains")->capture_default_str();
  app.add_option("--prepare", options.prepare, "the program that prepares data")->capture_default_str();
  app.add_option("--address-file", options.address_file,
                 "file to write the metrics address, pid and worker id to, as JSON, once connected");
  app.add_flag("--stop-ranks-on-exit", options.stop_ranks_on_exit,
               "on SIGTERM, stop ranks with a checkpoint and hand their trials back, instead of leaving them "
               "to the next daemon");
  double hang_start = mixln::base::ToSeconds(options.hang.start);
  double hang_step = mixln::base::ToSeconds(options.hang.step);
  app.add_option("--hang-start-seconds", hang_start,
                 "a rank hangs that shows no sign of life for so long before its first step is done, or "
                 "while it saves; so does mixln-prepare")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option(
         "--hang-step-seconds", hang_step,
         "a rank hangs that shows no sign of life for so long later; 10 median steps where those are longer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  options.keep_series = mixln::base::Seconds(keep_series);
  options.hang = {mixln::base::Seconds(hang_start), mixln::base::Seconds(hang_step)};

  mixln::services::daemon::SetUpLog("worker");
  options.stop_signals = mixln::services::daemon::BlockStopSignals();

  const absl::Status status = mixln::services::workerd::RunDaemon(options);
  if (status.ok()) return EXIT_SUCCESS;
  std::cerr << "mixln-worker: " << std::string(status.message()) << "\n";
  return EXIT_FAILURE;
}
