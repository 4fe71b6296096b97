// One rank on this machine: starting it below a shim, adopting one that an earlier daemon started, stopping
// it step by step, and learning that it is gone. Its folder is described in docs/rank-contract.md.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file/unique_fd.h"
#include "base/time/time.h"
#include "mixln/v1/rank.pb.h"
#include "mixln/v1/session.pb.h"

namespace mixln::worker::agent {

inline constexpr char kKilledFile[] = "killed";  // in the rank's folder: the agent has sent SIGKILL

struct RankLaunch {
  std::string shim_program;  // has the subcommand rank-shim
  std::string trainer;
  v1::RankConfig config;
  std::filesystem::path log;  // its standard output and error; its folder's `log` is a link to it
  std::vector<int> cpus;      // to pin it to; empty: not pinned
  int rendezvous_fd = -1;     // listening socket of rank 0; -1: none
};

class Rank {
 public:
  // Writes trial.json into the folder (made if needed) and starts the shim.
  static absl::StatusOr<Rank> Start(const std::filesystem::path& folder, const RankLaunch& launch);
  // Takes over what an earlier daemon started in this folder, be it alive or gone.
  static Rank Adopt(std::filesystem::path folder);

  // Stops it: CHECKPOINT sends `stop`, SIGTERM after half of the grace, SIGKILL after all of it; NOW sends
  // SIGKILL.
  void Stop(v1::StopMode mode, base::Duration grace, base::Time now);

  // Has every thread of the rank write its stack to the log (worker/pulse/pulse.h). A rank that is stopped by
  // a signal is continued for it: the stack it writes is of where it stood. One that is stuck inside of the
  // kernel writes nothing.
  void AskForStacks() const;

  // To be called often: says `alive` every 2 s, carries a stop further, and returns true once no process of
  // the rank is left.
  bool Poll(base::Time now);

  // Readable when the shim ends; -1 while that is not known.
  int pidfd() const { return pidfd_.get(); }
  const std::filesystem::path& folder() const { return folder_; }
  // Of the trainer process; 0 when not known (yet).
  pid_t rank_pid() const { return rank_pid_; }

 private:
  explicit Rank(std::filesystem::path folder) : folder_(std::move(folder)) {}
  void ReadShimFile();
  bool ShimIsGone();
  void Kill();

  std::filesystem::path folder_;
  base::UniqueFd pidfd_;  // of the shim
  pid_t shim_pid_ = 0;    // 0: not known, or of another boot
  pid_t rank_pid_ = 0;
  bool is_child_ = false;  // the shim is ours to reap
  bool gone_ = false;
  std::optional<v1::StopMode> stop_;
  bool terminated_ = false;  // SIGTERM was sent
  base::Time terminate_at_;
  base::Time kill_at_;
  base::Time next_word_;
};

}  // namespace mixln::worker::agent
