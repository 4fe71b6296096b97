// The artifacts folders of a simulation: which one each worker sees, and the checkpoints in them.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace mixln::simulation {

// Whether the path is the folder or lies below it.
inline bool IsBelow(const std::string& path, const std::string& folder) {
  return path == folder || absl::StartsWith(path, absl::StrCat(folder, "/"));
}

class Artifacts {
 public:
  // Which folder a worker sees.
  void Sees(const std::string& worker, const std::string& folder) { folders_[worker] = folder; }
  // Whether workers see different ones.
  bool Differ() const {
    return std::any_of(folders_.begin(), folders_.end(),
                       [&](const auto& worker) { return worker.second != folders_.begin()->second; });
  }

  // Paths are below the folder that the worker sees.
  void Write(const std::string& worker, const std::string& path, bool damaged) {
    checkpoints_[path] = {.folder = folders_.at(worker), .damaged = damaged};
  }
  void Delete(const std::string& worker, const std::string& path) {
    std::erase_if(checkpoints_, [&](const auto& entry) {
      return entry.second.folder == folders_.at(worker) && IsBelow(entry.first, path);
    });
  }
  bool Has(const std::string& worker, const std::string& path) const {
    const auto found = checkpoints_.find(path);
    return found != checkpoints_.end() && found->second.folder == folders_.at(worker);
  }

  // In any of the folders.
  bool Exists(const std::string& path) const { return checkpoints_.contains(path); }
  // Its files are not what was written.
  bool IsDamaged(const std::string& path) const {
    const auto found = checkpoints_.find(path);
    return found != checkpoints_.end() && found->second.damaged;
  }
  // One that is left; empty: none.
  std::string Any() const { return checkpoints_.empty() ? "" : checkpoints_.begin()->first; }

 private:
  struct Checkpoint {
    std::string folder;
    bool damaged = false;
  };
  std::map<std::string, std::string> folders_;     // by worker
  std::map<std::string, Checkpoint> checkpoints_;  // by path
};

}  // namespace mixln::simulation
