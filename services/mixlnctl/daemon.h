// Processes that `up` starts and `down` stops. A process is known by its pid, start time and boot, so that a
// pid that was given to another process since is never taken for it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mixln::services::mixlnctl {

struct ProcessRecord {
  int pid = 0;
  uint64_t start_time = 0;  // in clock ticks since boot, field 22 of /proc/<pid>/stat
  std::string boot_id;
};

// One daemon of this machine and its files.
struct Daemon {
  std::string name;               // mixln-coordinator
  std::filesystem::path program;  // its binary
  std::filesystem::path address;  // JSON that it writes once it listens: {"grpc", "metrics", "pid"}
  std::filesystem::path record;   // JSON that `up` writes: ProcessRecord
  std::filesystem::path log;      // its standard output and error, appended to
};

// The addresses that a daemon wrote.
struct DaemonAddress {
  std::string grpc;
  std::string metrics;
};

// Files of `name` ("coordinator" or "worker") below `<state>/run`.
Daemon LocalDaemon(const std::filesystem::path& program_folder, const std::filesystem::path& state_folder,
                   const std::string& name);

// The process of the record file, if it lives (a zombie does not).
std::optional<ProcessRecord> RunningProcess(const Daemon& daemon);

// What the daemon wrote to its address file; nullopt when that is not there, not whole, or of another
// process.
std::optional<DaemonAddress> ReadAddress(const Daemon& daemon, int pid);

// Starts the daemon in a session of its own, records it, and waits until it has written its addresses.
// FAILED_PRECONDITION with the last lines of its log when it exits instead.
absl::StatusOr<DaemonAddress> StartDaemon(const Daemon& daemon, const std::vector<std::string>& arguments);

// Waits at most `seconds` for the process to end; whether it did.
bool WaitForExit(const ProcessRecord& process, double seconds);

// SIGTERM, then waits for the end and removes the record and address files. Nothing to do where it does not
// run. DEADLINE_EXCEEDED after `seconds`; with `force`, SIGKILL then.
absl::Status StopDaemon(const Daemon& daemon, double seconds, bool force);

// The last lines of a log, each indented by two spaces; from byte `offset` on.
std::string LastLines(const std::filesystem::path& log, uint64_t offset, int lines);

}  // namespace mixln::services::mixlnctl
