// A store that lives as long as its process, for tests and simulation: it keeps rows as bytes, as the real
// one does, so that what was not committed is not there after Load().
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "coordinator/store/store.h"

namespace mixln::coordinator::store {

class MemoryStore : public Store {
 public:
  explicit MemoryStore(std::string cluster_id, uint64_t term = 1);

  absl::StatusOr<state::State> Load() override;
  absl::Status Commit(const state::State& state, const control::Changes& changes) override;

  absl::Status CheckRoom() const override { return absl::OkStatus(); }

  // What a restart of the coordinator does: raises the term by 1.
  void Restart() { ++term_; }

 private:
  std::string cluster_id_;
  uint64_t term_;
  uint64_t last_epoch_ = 0;
  std::map<std::string, std::string> sweeps_;
  std::map<std::string, std::string> trials_;
  std::map<std::string, std::string> workers_;
  std::map<std::string, std::set<std::string>> deletions_;  // by worker
};

}  // namespace mixln::coordinator::store
