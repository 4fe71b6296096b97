#include "coordinator/store/memory_store.h"

#include <utility>

namespace mixln::coordinator::store {
namespace {

void Put(const std::set<std::string>& ids, const auto& records, const auto& message,
         std::map<std::string, std::string>& rows) {
  for (const std::string& id : ids) {
    const auto found = records.find(id);
    if (found == records.end()) {
      rows.erase(id);
    } else {
      rows[id] = message(found->second).SerializeAsString();
    }
  }
}

}  // namespace

MemoryStore::MemoryStore(std::string cluster_id, uint64_t term)
    : cluster_id_(std::move(cluster_id)), term_(term) {}

absl::StatusOr<state::State> MemoryStore::Load() {
  state::State state;
  state.cluster_id = cluster_id_;
  state.term = term_;
  state.last_epoch = last_epoch_;
  for (const auto& [id, bytes] : sweeps_) state.sweeps[id].ParseFromString(bytes);
  for (const auto& [id, bytes] : trials_) state.trials[id].ParseFromString(bytes);
  for (const auto& [id, bytes] : workers_) state.workers[id].worker.ParseFromString(bytes);
  for (const auto& [id, paths] : deletions_) state.workers[id].deletions = paths;
  return state;
}

absl::Status MemoryStore::Commit(const state::State& state, const control::Changes& changes) {
  const auto itself = [](const auto& row) -> const auto& {
    return row;
  };
  Put(changes.sweeps, state.sweeps, itself, sweeps_);
  Put(changes.trials, state.trials, itself, trials_);
  Put(
      changes.workers, state.workers, [](const auto& record) -> const auto& { return record.worker; },
      workers_);
  for (const std::string& id : changes.workers) deletions_[id] = state.workers.at(id).deletions;
  if (changes.epoch) last_epoch_ = state.last_epoch;
  return absl::OkStatus();
}

}  // namespace mixln::coordinator::store
