#include "services/mixlnctl/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file/durable.h"
#include "base/file/unique_fd.h"
#include "services/mixlnctl/program.h"

extern char** environ;

namespace mixln::services::mixlnctl {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

constexpr double kStartSeconds = 60;
constexpr int kPollMilliseconds = 20;
constexpr int kLogLines = 10;

std::string BootId() {
  auto text = base::ReadFile("/proc/sys/kernel/random/boot_id");
  return text.ok() ? std::string(absl::StripAsciiWhitespace(*text)) : "";
}

// The start time of a living process; nullopt for none or a zombie.
std::optional<uint64_t> StartTime(int pid) {
  auto stat = base::ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!stat.ok()) return std::nullopt;
  const size_t end_of_name = stat->rfind(')');  // the name may hold spaces and parentheses
  if (end_of_name == std::string::npos) return std::nullopt;
  std::istringstream fields(stat->substr(end_of_name + 1));
  std::string field;
  for (int number = 3; fields >> field; ++number) {
    if (number == 3 && (field == "Z" || field == "X")) return std::nullopt;
    if (number == 22) return std::stoull(field);
  }
  return std::nullopt;
}

bool Lives(const ProcessRecord& process) {
  const auto start = StartTime(process.pid);
  return start && *start == process.start_time && process.boot_id == BootId();
}

// A descriptor of exactly this process, which stays right when the pid is used again.
base::UniqueFd OpenProcess(const ProcessRecord& process) {
  base::UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)));
  return fd && Lives(process) ? std::move(fd) : base::UniqueFd();
}

bool Exited(const base::UniqueFd& process, int milliseconds) {
  pollfd poll_fd{process.get(), POLLIN, 0};
  return poll(&poll_fd, 1, milliseconds) == 1;
}

void RemoveFiles(const Daemon& daemon) {
  std::error_code ignored;
  std::filesystem::remove(daemon.record, ignored);
  std::filesystem::remove(daemon.address, ignored);
}

absl::StatusOr<int> Spawn(const Daemon& daemon, const std::vector<std::string>& arguments) {
  base::UniqueFd log(open(daemon.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!log) return base::ErrnoStatus(errno, absl::StrCat("cannot write ", daemon.log.string()));
  std::vector<std::string> words{daemon.program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const std::vector<char*> argv = Argv(words);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, log.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, log.get(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);  // no Ctrl-C, no hang-up of this terminal
  pid_t pid = 0;
  const int error = posix_spawn(&pid, daemon.program.c_str(), &files, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return base::ErrnoStatus(error, absl::StrCat("cannot start ", daemon.program.string()));
  return pid;
}

}  // namespace

Daemon LocalDaemon(const std::filesystem::path& program_folder, const std::filesystem::path& state_folder,
                   const std::string& name) {
  const std::filesystem::path run = state_folder / "run";
  return {.name = "mixln-" + name,
          .program = program_folder / ("mixln-" + name),
          .address = run / (name + ".address"),
          .record = run / (name + ".process"),
          .log = run / (name + ".log")};
}

std::optional<ProcessRecord> RunningProcess(const Daemon& daemon) {
  auto text = base::ReadFile(daemon.record);
  if (!text.ok()) return std::nullopt;
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  const ProcessRecord process{.pid = json.value("pid", 0),
                              .start_time = json.value("start_time", uint64_t{0}),
                              .boot_id = json.value("boot_id", "")};
  if (process.pid <= 0 || !Lives(process)) return std::nullopt;
  return process;
}

std::optional<DaemonAddress> ReadAddress(const Daemon& daemon, int pid) {
  auto text = base::ReadFile(daemon.address);
  if (!text.ok()) return std::nullopt;
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("pid", 0) != pid) return std::nullopt;
  return DaemonAddress{json.value("grpc", ""), json.value("metrics", "")};
}

std::string LastLines(const std::filesystem::path& log, uint64_t offset, int lines) {
  std::ifstream file(log, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::vector<std::string> all = absl::StrSplit(text, '\n', absl::SkipEmpty());
  std::string last;
  for (size_t i = all.size() - std::min(all.size(), static_cast<size_t>(lines)); i < all.size(); ++i) {
    absl::StrAppend(&last, last.empty() ? "" : "\n", "  ", all[i]);
  }
  return last;
}

absl::StatusOr<DaemonAddress> StartDaemon(const Daemon& daemon, const std::vector<std::string>& arguments) {
  RemoveFiles(daemon);
  std::error_code no_log;
  const auto size = std::filesystem::file_size(daemon.log, no_log);
  const uint64_t offset = no_log ? 0 : size;
  auto pid = Spawn(daemon, arguments);
  if (!pid.ok()) return pid.status();
  const base::UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, *pid, 0)));
  // Our child's pid cannot be used again before we wait for it, so this is its start time; none: it has
  // ended.
  if (const auto start_time = StartTime(*pid)) {
    const Json record{{"pid", *pid}, {"start_time", *start_time}, {"boot_id", BootId()}};
    if (auto written = base::WriteFileDurably(daemon.record, record.dump() + "\n"); !written.ok()) {
      kill(*pid, SIGTERM);
      return written;
    }
  }
  const auto end = Clock::now() + std::chrono::seconds(static_cast<int>(kStartSeconds));
  while (true) {
    const bool exited = Exited(process, kPollMilliseconds);
    if (!exited) {
      if (auto address = ReadAddress(daemon, *pid)) return *address;
      if (Clock::now() < end) continue;
      kill(*pid, SIGTERM);
    }
    int status = 0;
    if (exited) waitpid(*pid, &status, 0);
    const std::string how = !exited             ? absl::StrCat("did not listen within ", kStartSeconds, " s")
                            : WIFEXITED(status) ? absl::StrCat("exited with code ", WEXITSTATUS(status))
                                                : absl::StrCat("was ended by signal ", WTERMSIG(status));
    RemoveFiles(daemon);
    const std::string said = LastLines(daemon.log, offset, kLogLines);
    return absl::FailedPreconditionError(absl::StrCat(daemon.name, " ", how,
                                                      said.empty() ? "" : " and said:\n", said,
                                                      "\nIts log is ", daemon.log.string()));
  }
}

bool WaitForExit(const ProcessRecord& process, double seconds) {
  const base::UniqueFd fd = OpenProcess(process);
  return !fd || Exited(fd, static_cast<int>(seconds * 1000));
}

absl::Status StopDaemon(const Daemon& daemon, double seconds, bool force) {
  const auto process = RunningProcess(daemon);
  if (!process) {
    RemoveFiles(daemon);
    return absl::OkStatus();
  }
  const base::UniqueFd fd = OpenProcess(*process);
  if (fd) {
    if (syscall(SYS_pidfd_send_signal, fd.get(), SIGTERM, nullptr, 0) != 0 && errno != ESRCH) {
      return base::ErrnoStatus(errno, absl::StrCat("cannot stop ", daemon.name, ", pid ", process->pid));
    }
    if (!Exited(fd, static_cast<int>(seconds * 1000))) {
      if (!force) {
        return absl::DeadlineExceededError(absl::StrCat(
            daemon.name, ", pid ", process->pid, ", has not stopped within ", seconds,
            " s: wait and try again, or `mixlnctl down --force`\n", LastLines(daemon.log, 0, kLogLines)));
      }
      syscall(SYS_pidfd_send_signal, fd.get(), SIGKILL, nullptr, 0);
      Exited(fd, -1);
    }
  }
  waitpid(process->pid, nullptr, WNOHANG);  // where it is our own child, as after a failed `up`
  RemoveFiles(daemon);
  return absl::OkStatus();
}

}  // namespace mixln::services::mixlnctl
