#include "worker/agent/rank_shim.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/failpoint/failpoint.h"
#include "base/file/durable.h"
#include "base/file/unique_fd.h"
#include "worker/agent/process.h"

namespace mixln::worker::agent {
namespace {

void Pin(const std::string& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const auto& text : absl::StrSplit(cpus, ',')) {
    int cpu = 0;
    if (absl::SimpleAtoi(text, &cpu)) CPU_SET(cpu, &set);
  }
  // A core that went away meanwhile costs speed only.
  if (sched_setaffinity(0, sizeof set, &set) != 0) perror("rank-shim: cannot pin the rank to its cores");
}

// Becomes the rank: waits until the gate opens (one byte; end of file means that the shim failed).
[[noreturn]] void BecomeRank(int gate, pid_t shim, const char* trainer) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  char byte = 0;
  if (getppid() != shim || read(gate, &byte, 1) != 1) _exit(70);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  char file[] = "trial.json";  // in the rank's folder, which is the working directory
  char* const argv[] = {const_cast<char*>(trainer), file, nullptr};
  execv(trainer, argv);
  dprintf(STDERR_FILENO, "cannot start the trainer %s: %s\n", trainer, strerror(errno));
  _exit(70);
}

// Ends and reaps everything below the shim. The rank itself is a zombie by now, so its number is still its
// own.
void EndDescendants(pid_t rank) {
  kill(-rank, SIGKILL);
  for (;;) {
    const pid_t reaped = waitpid(-1, nullptr, WNOHANG);
    if (reaped < 0 && errno == ECHILD) return;
    if (reaped > 0) continue;
    for (const pid_t child : Children()) kill(child, SIGKILL);
    waitpid(-1, nullptr, 0);
  }
}

// False where the folder is gone: then nobody will read it.
bool WriteUntilItWorks(const std::string& name, const nlohmann::json& value) {
  sigset_t none;
  sigemptyset(&none);
  for (;;) {
    const absl::Status written = base::WriteFileDurably(name, value.dump());
    if (written.ok() || absl::IsNotFound(written)) return written.ok();
    // A full disk: the slot stays taken and the log says why, until there is room.
    fprintf(stderr, "rank-shim: %s; trying again\n", std::string(written.message()).c_str());
    const timespec pause{1, 0};
    sigtimedwait(&none, nullptr, &pause);
  }
}

}  // namespace

std::vector<std::string> ShimCommand(const std::string& program, const std::string& trainer,
                                     std::span<const int> cpus) {
  return {program, kRankShim, trainer, cpus.empty() ? "-" : absl::StrJoin(cpus, ",")};
}

int RunRankShim(std::span<char* const> arguments) {
  if (arguments.size() != 2 || fcntl(kLockFd, F_SETFD, FD_CLOEXEC) != 0) {
    fprintf(stderr, "rank-shim: the worker daemon starts this, not people\n");
    return 64;
  }
  const char* trainer = arguments[0];
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  if (strcmp(arguments[1], "-") != 0) Pin(arguments[1]);

  const bool has_rendezvous = fcntl(kRendezvousFd, F_GETFD) >= 0;
  int gate[2];
  if (pipe2(gate, O_CLOEXEC) != 0) return 70;
  const pid_t shim = getpid();
  const int64_t kills_before = KillsForMemory();
  const pid_t rank = fork();
  if (rank < 0) {
    perror("rank-shim: cannot fork");
    return 70;
  }
  if (rank == 0) {
    close(gate[1]);
    BecomeRank(gate[0], shim, trainer);
  }
  close(gate[0]);
  if (has_rendezvous) close(kRendezvousFd);
  setpgid(rank, rank);
  base::failpoint::Hit("shim.forked");
  const bool recorded = WriteUntilItWorks(
      "shim.json",
      {{"pid", shim}, {"start_time", StartTime(shim)}, {"boot_id", BootId()}, {"rank_pid", rank}});
  if (!recorded || write(gate[1], "1", 1) != 1) kill(rank, SIGKILL);
  close(gate[1]);
  base::failpoint::Hit("shim.started");

  for (;;) {
    const int signal = sigwaitinfo(&signals, nullptr);
    if (signal == SIGTERM || signal == SIGINT) kill(rank, signal);
    if (signal != SIGCHLD) continue;
    while (true) {  // orphans of the rank
      siginfo_t child{};
      if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) != 0 || child.si_pid == 0 ||
          child.si_pid == rank)
        break;
      waitpid(child.si_pid, nullptr, 0);
    }
    siginfo_t end{};
    if (waitid(P_PID, static_cast<id_t>(rank), &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid != rank)
      continue;
    EndDescendants(rank);
    base::failpoint::Hit("shim.ended");
    nlohmann::json exit{{end.si_code == CLD_EXITED ? "exit_code" : "signal", end.si_status}};
    // The kernel does not say whom it killed, but that it did.
    if (end.si_code != CLD_EXITED && end.si_status == SIGKILL && KillsForMemory() > kills_before)
      exit["out_of_memory"] = true;
    WriteUntilItWorks("exit.json", exit);
    return 0;
  }
}

}  // namespace mixln::worker::agent
