#include "worker/agent/rank.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/failpoint/failpoint.h"
#include "base/file/durable.h"
#include "base/file/lock_file.h"
#include "worker/agent/control_socket.h"
#include "worker/agent/process.h"
#include "worker/agent/rank_shim.h"
#include "worker/pulse/pulse.h"

namespace mixln::worker::agent {
namespace {

constexpr base::Duration kAliveEvery = base::Seconds(2);
constexpr base::Duration kStopEvery = base::Seconds(0.5);  // until it listens

std::string ToJson(const v1::RankConfig& config) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  options.add_whitespace = true;
  std::string text;
  const auto printed = google::protobuf::util::MessageToJsonString(config, &text, options);
  return printed.ok() ? text : "";
}

}  // namespace

absl::StatusOr<Rank> Rank::Start(const std::filesystem::path& folder, const RankLaunch& launch) {
  if (auto made = base::MakeFolders(folder); !made.ok()) return made;
  if (auto written = base::WriteFileDurably(folder / "trial.json", ToJson(launch.config)); !written.ok())
    return written;
  // Locked before the shim exists and handed down, so that there is no moment at which a living rank looks
  // dead.
  auto lock = base::LockFile::TryLock(folder / "rank.lock");
  if (!lock.ok()) return lock.status();
  if (!pulse::Make(folder / pulse::kFile))
    return base::ErrnoStatus(errno, absl::StrCat("cannot make ", (folder / pulse::kFile).string()));
  if (auto made = base::MakeFolders(launch.log.parent_path()); !made.ok()) return made;
  const base::UniqueFd log(open(launch.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!log) return base::ErrnoStatus(errno, absl::StrCat("cannot write ", launch.log.string()));
  if (symlink(launch.log.c_str(), (folder / "log").c_str()) != 0 && errno != EEXIST)
    return base::ErrnoStatus(errno, absl::StrCat("cannot make the link ", (folder / "log").string()));
  SpawnOptions options;
  options.folder = folder;
  options.fds = {{log.get(), 1}, {log.get(), 2}, {lock->fd(), kLockFd}};
  if (launch.rendezvous_fd >= 0) {
    options.fds.emplace_back(launch.rendezvous_fd, kRendezvousFd);
    options.environment.push_back(absl::StrCat("MIXLN_RENDEZVOUS_FD=", kRendezvousFd));
  }
  if (const int failure = base::failpoint::Hit("worker.spawn", folder.string()); failure != 0)
    return base::ErrnoStatus(failure, absl::StrCat("cannot start ", launch.shim_program));
  auto process = Spawn(ShimCommand(launch.shim_program, launch.trainer, launch.cpus), options);
  if (!process.ok()) return process.status();
  base::failpoint::Hit("worker.spawned", folder.string());
  Rank rank(folder);
  rank.pidfd_ = std::move(process->pidfd);
  rank.shim_pid_ = process->pid;
  rank.is_child_ = true;
  return rank;
}

Rank Rank::Adopt(std::filesystem::path folder) {
  Rank rank(std::move(folder));
  rank.ReadShimFile();
  return rank;
}

void Rank::ReadShimFile() {
  const auto text = base::ReadFile(folder_ / "shim.json");
  const nlohmann::json shim = text.ok() ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
  if (!shim.is_object() || shim.value("boot_id", "") != BootId()) return;
  const pid_t pid = shim.value("pid", 0);
  if (!is_child_) {
    if (!base::LockFile::IsHeld(folder_ / "rank.lock")) return;
    auto pidfd = OpenPidfd(pid);
    // The descriptor first, the question second: so the answer is about the process that the descriptor
    // holds.
    if (!pidfd.ok() || StartTime(pid) != shim.value("start_time", uint64_t{0})) return;
    pidfd_ = std::move(*pidfd);
    shim_pid_ = pid;
  }
  rank_pid_ = shim.value("rank_pid", 0);
}

bool Rank::ShimIsGone() {
  if (pidfd_) return HasEnded(pidfd_);
  // Started by an earlier daemon and not yet so far as to say who it is.
  return !base::LockFile::IsHeld(folder_ / "rank.lock");
}

void Rank::Stop(v1::StopMode mode, base::Duration grace, base::Time now) {
  const base::Time kill_at = mode == v1::STOP_MODE_NOW ? now : now + grace;
  if (stop_ && kill_at_ <= kill_at) return;
  if (!stop_) terminate_at_ = now + grace / 2;
  stop_ = mode;
  kill_at_ = kill_at;
  next_word_ = now;
}

void Rank::AskForStacks() const {
  if (rank_pid_ == 0 || !pidfd_ || HasEnded(pidfd_)) return;
  std::error_code ignored;
  for (const auto& task :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", rank_pid_, "/task"), ignored)) {
    int thread = 0;
    if (absl::SimpleAtoi(task.path().filename().string(), &thread))
      syscall(SYS_tgkill, rank_pid_, thread, pulse::kStackSignal);
  }
  kill(rank_pid_, SIGCONT);
}

void Rank::Kill() {
  // While the shim lives it does not reap the rank before its whole group has ended, so the group's number is
  // the rank's own.
  if (rank_pid_ == 0 || ShimIsGone()) return;
  // First, so that also a daemon that finds the rank gone knows that it did not die by itself.
  const base::UniqueFd mark(open((folder_ / kKilledFile).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  kill(-rank_pid_, SIGKILL);
}

bool Rank::Poll(base::Time now) {
  if (gone_) return true;
  if (rank_pid_ == 0) ReadShimFile();
  if (ShimIsGone()) {
    if (is_child_) waitpid(shim_pid_, nullptr, WNOHANG);
    // A shim that was killed itself leaves the rest of its session to us.
    if (shim_pid_ != 0) {
      const std::vector<pid_t> left = ProcessesOfSession(shim_pid_);
      for (const pid_t pid : left) kill(pid, SIGKILL);
      if (!left.empty()) return false;
    }
    return gone_ = true;
  }
  if (stop_ && now >= kill_at_) {
    Kill();
  } else if (stop_ && now >= terminate_at_ && !terminated_ && rank_pid_ != 0) {
    kill(rank_pid_, SIGTERM);
    terminated_ = true;
  }
  if (now >= next_word_) {
    SendControl(folder_, stop_ ? "stop" : "alive");
    next_word_ = now + (stop_ ? kStopEvery : kAliveEvery);
  }
  return false;
}

}  // namespace mixln::worker::agent
