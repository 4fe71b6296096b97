#include "worker/agent/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file/durable.h"

extern char** environ;

namespace mixln::worker::agent {
namespace {

// Fields of /proc/<pid>/stat after the program's name, which may hold anything: [0] state, [3] session, [11]
// and [12] CPU time in the program and in the kernel, [19] start time.
std::vector<std::string> StatFields(pid_t pid) {
  const auto text = base::ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!text.ok()) return {};
  const size_t end_of_name = text->rfind(')');
  if (end_of_name == std::string::npos || end_of_name + 2 >= text->size()) return {};
  std::vector<std::string> fields = absl::StrSplit(text->substr(end_of_name + 2), ' ');
  if (fields.size() < 20) return {};
  return fields;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

absl::StatusOr<Process> Spawn(const std::vector<std::string>& argv, const SpawnOptions& options) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  for (const auto& [ours, theirs] : options.fds) posix_spawn_file_actions_adddup2(&actions, ours, theirs);
  if (!options.folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, options.folder.c_str());

  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  environment.insert(environment.end(), options.environment.begin(), options.environment.end());
  Process process;
  const int error = posix_spawn(&process.pid, argv[0].c_str(), &actions, &attributes, Pointers(argv).data(),
                                Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return base::ErrnoStatus(error, absl::StrCat("cannot start ", argv[0]));
  // Not reaped yet, so the number is still its own.
  auto pidfd = OpenPidfd(process.pid);
  if (!pidfd.ok()) {
    kill(process.pid, SIGKILL);
    return pidfd.status();
  }
  process.pidfd = std::move(*pidfd);
  return process;
}

absl::StatusOr<base::UniqueFd> OpenPidfd(pid_t pid) {
  base::UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));  // close-on-exec by definition
  if (fd) return fd;
  if (errno == ESRCH) return absl::NotFoundError(absl::StrCat("there is no process ", pid));
  return base::ErrnoStatus(errno, absl::StrCat("cannot watch process ", pid));
}

bool HasEnded(const base::UniqueFd& pidfd) {
  pollfd ask{pidfd.get(), POLLIN, 0};
  return poll(&ask, 1, 0) > 0;
}

std::string BootId() {
  const auto text = base::ReadFile("/proc/sys/kernel/random/boot_id");
  return text.ok() ? std::string(absl::StripSuffix(*text, "\n")) : "";
}

uint64_t StartTime(pid_t pid) {
  const std::vector<std::string> fields = StatFields(pid);
  uint64_t ticks = 0;
  return !fields.empty() && absl::SimpleAtoi(fields[19], &ticks) ? ticks : 0;
}

uint64_t CpuTime(pid_t pid) {
  const std::vector<std::string> fields = StatFields(pid);
  uint64_t program = 0;
  uint64_t kernel = 0;
  return !fields.empty() && absl::SimpleAtoi(fields[11], &program) && absl::SimpleAtoi(fields[12], &kernel)
             ? program + kernel
             : 0;
}

std::vector<pid_t> ProcessesOfSession(pid_t session) {
  std::vector<pid_t> found;
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return found;
  while (const dirent* entry = readdir(proc)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry->d_name, &pid)) continue;
    const std::vector<std::string> fields = StatFields(pid);
    if (!fields.empty() && fields[3] == absl::StrCat(session) && fields[0] != "Z" && fields[0] != "X")
      found.push_back(pid);
  }
  closedir(proc);
  return found;
}

std::vector<pid_t> Children() {
  const auto text = base::ReadFile(absl::StrCat("/proc/self/task/", getpid(), "/children"));
  std::vector<pid_t> children;
  if (!text.ok()) return children;
  std::istringstream words(*text);
  for (pid_t pid; words >> pid;) children.push_back(pid);
  return children;
}

int64_t KillsForMemory() {
  const auto text = base::ReadFile("/proc/vmstat");
  if (!text.ok()) return 0;
  std::istringstream words(*text);
  std::string name;
  for (int64_t count = 0; words >> name >> count;)
    if (name == "oom_kill") return count;
  return 0;
}

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  return name == nullptr ? absl::StrCat(signal) : absl::StrCat("SIG", name);
}

}  // namespace mixln::worker::agent
