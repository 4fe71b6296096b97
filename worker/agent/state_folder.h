// What a worker keeps over restarts of its daemon: who it is, how often it started, the cluster and the
// highest term that it served, and its attempts.
//
//   <root>/worker.lock                                 held by the daemon
//   <root>/worker.json                                 {"worker_id", "instance", "cluster_id",
//   "highest_term"} <root>/attempts/<trial>/<term>-<epoch>/attempt.json    AttemptRecord
//   <root>/attempts/<trial>/<term>-<epoch>/rank-<n>/       the rank's folder (docs/rank-contract.md)
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file/lock_file.h"
#include "worker/session/attempt.h"

namespace mixln::worker::agent {

// One attempt, kept before anything is done for it.
struct AttemptRecord {
  v1::Reserve reserve;
  bool started = false;                      // its ranks were started
  bool over = false;                         // the coordinator knows its end: kept for its logs only
  std::optional<session::StopRequest> stop;  // its ranks are being stopped
};

class StateFolder {
 public:
  // Opens or makes the folder, takes its lock, and counts this start of the daemon, durably. ALREADY_EXISTS
  // when another daemon has it open.
  static absl::StatusOr<StateFolder> Open(const std::filesystem::path& root);

  const std::string& worker_id() const { return worker_id_; }
  uint64_t instance() const { return instance_; }
  const std::string& cluster_id() const { return cluster_id_; }  // empty: none yet
  uint64_t highest_term() const { return highest_term_; }
  absl::Status KeepTerm(const std::string& cluster_id, uint64_t term);

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path AttemptFolder(const session::AttemptKey& key) const;
  absl::Status KeepAttempt(const AttemptRecord& record);
  // All attempts, those of earlier daemons too: to be called before what follows here. An unreadable record
  // is an error, because a rank may live below it.
  absl::StatusOr<std::vector<AttemptRecord>> LoadAttempts();
  // The attempts of trials whose folder below the artifacts root is `path`, or lies below it.
  std::vector<session::AttemptKey> AttemptsBelow(const std::string& path) const;
  // Removes an attempt's folder, and the trial's with its last one.
  void RemoveAttempt(const session::AttemptKey& key);
  // Removes all but the newest `keep` attempts that are over.
  void RemoveOldAttempts(size_t keep);

 private:
  StateFolder(std::filesystem::path root, base::LockFile lock)
      : root_(std::move(root)), lock_(std::move(lock)) {}
  absl::Status Write() const;
  void Note(const AttemptRecord& record);

  // What is asked of all records without reading them again.
  struct Noted {
    std::string trial_dir;
    bool over = false;
  };

  std::filesystem::path root_;
  base::LockFile lock_;
  std::string worker_id_;
  std::string cluster_id_;
  uint64_t instance_ = 0;
  uint64_t highest_term_ = 0;
  std::map<session::AttemptKey, Noted> attempts_;
};

// Whether a name from the coordinator may be part of a path: letters, digits, '.', '_' and '-', no leading
// dot.
bool IsPlainName(const std::string& name);

}  // namespace mixln::worker::agent
