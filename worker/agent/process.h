// Processes: starting them without SIGCHLD, and telling one from a later one with the same number.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file/unique_fd.h"

namespace mixln::worker::agent {

struct SpawnOptions {
  std::filesystem::path folder;          // working directory
  std::vector<std::pair<int, int>> fds;  // (ours, the child's): descriptors that the child gets
  std::vector<std::string> environment;  // "NAME=value", added to our own
};

struct Process {
  pid_t pid = 0;
  base::UniqueFd pidfd;  // readable once the process has ended
};

// Starts argv[0] in a session, and so a process group, of its own, with default signals and standard input
// from /dev/null.
absl::StatusOr<Process> Spawn(const std::vector<std::string>& argv, const SpawnOptions& options);

// A descriptor for a living process that any parent may have; NOT_FOUND when there is none.
absl::StatusOr<base::UniqueFd> OpenPidfd(pid_t pid);

// Whether the process behind the descriptor has ended.
bool HasEnded(const base::UniqueFd& pidfd);

// Identifies this boot of the machine.
std::string BootId();

// When the process started, in clock ticks since boot; 0: there is none. With the boot id and the pid it
// names a process.
uint64_t StartTime(pid_t pid);

// CPU time that all threads of the process have used, in clock ticks; 0 where that is not known.
uint64_t CpuTime(pid_t pid);

// Living processes (no zombies) of a session.
std::vector<pid_t> ProcessesOfSession(pid_t session);

// Living and dead children of this process (single-threaded).
std::vector<pid_t> Children();

// How many processes the kernel has killed for want of memory, the machine's or a cgroup's, since boot; 0
// where it does not say.
int64_t KillsForMemory();

// "SIGKILL" for 9; the number where it has no name.
std::string SignalName(int signal);

}  // namespace mixln::worker::agent
