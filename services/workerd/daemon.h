// The worker daemon's one loop: it carries what happens (the stream, the agent's findings, signals, time) to
// the session, and the session's orders and messages back. It decides nothing itself.
#pragma once

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/time/time.h"
#include "services/rpc/tls.h"
#include "worker/pulse/hang.h"

namespace mixln::services::workerd {

struct DaemonOptions {
  std::string coordinator = "127.0.0.1:7410";
  rpc::TlsFiles tls = {};         // none: the coordinator is called without TLS
  bool insecure_metrics = false;  // /metrics may be served off the loopback
  std::filesystem::path state_dir;
  std::filesystem::path artifacts;
  std::vector<std::filesystem::path> data_roots = {};  // where sweeps' data may lie; none: anywhere
  int slots = 0;  // 0: as many as the machine suggests (worker/agent/slots.h)
  std::string metrics_listen = "127.0.0.1:7412";
  std::string ranks_address = "127.0.0.1";
  std::string program;  // this program's own path: it is the ranks' shim too
  std::string trainer;
  std::string prepare;
  std::filesystem::path address_file;  // empty: none
  worker::pulse::HangLimits hang;
  base::Duration keep_series = base::Seconds(300);  // of /metrics, after their trial's end
  bool stop_ranks_on_exit = false;
  sigset_t stop_signals = {};  // blocked in all threads
};

// Runs until one of the stop signals comes. An error says why the daemon
// cannot work.
absl::Status RunDaemon(const DaemonOptions& options);

}  // namespace mixln::services::workerd
