#include "coordinator/schedule/pool.h"

#include <algorithm>

#include "coordinator/state/slots.h"

namespace mixln::coordinator::schedule {
namespace {

int CountIn(const std::map<v1::Device, std::vector<int>>& slots, v1::Device kind) {
  const auto it = slots.find(kind);
  return it == slots.end() ? 0 : static_cast<int>(it->second.size());
}

}  // namespace

Pool::Pool(const state::State& state) {
  const auto taken = state::TakenSlotsByWorker(state);
  for (const auto& [id, record] : state.workers) {
    if (record.worker.state() != v1::WORKER_STATE_READY || record.session == 0) continue;
    WorkerSlots& slots = workers_[id];
    const auto taken_here = taken.find(id);
    for (const v1::Slot& slot : record.worker.slots()) {
      ++slots.total[slot.device()];
      const bool free =
          taken_here == taken.end() ||
          (!taken_here->second.unknown && !taken_here->second.trial_by_slot.contains(slot.index()));
      if (free) slots.free[slot.device()].push_back(slot.index());
    }
    for (auto& [kind, indices] : slots.free) std::sort(indices.begin(), indices.end());
  }
}

v1::Device Pool::KindFor(const v1::ResourceSpec& resources) const {
  if (resources.device() == v1::DEVICE_GPU) return v1::DEVICE_GPU;
  if (resources.device() == v1::DEVICE_CPU) return v1::DEVICE_CPU;
  return Count(v1::DEVICE_GPU).total >= resources.ranks() ? v1::DEVICE_GPU : v1::DEVICE_CPU;
}

KindCount Pool::Count(v1::Device kind) const {
  KindCount count;
  for (const auto& [id, slots] : workers_) {
    const auto total = slots.total.find(kind);
    if (total != slots.total.end()) count.total += total->second;
    count.free += CountIn(slots.free, kind);
  }
  return count;
}

const std::string* Pool::BestFit(v1::Device kind, int ranks) const {
  const std::string* best = nullptr;
  int best_free = 0;
  for (const auto& [id, slots] : workers_) {
    const int free = CountIn(slots.free, kind);
    if (free >= ranks && (best == nullptr || free < best_free)) {
      best = &id;
      best_free = free;
    }
  }
  return best;
}

const std::string* Pool::MostFree(v1::Device kind) const {
  const std::string* most = nullptr;
  int most_free = 0;
  for (const auto& [id, slots] : workers_) {
    const int free = CountIn(slots.free, kind);
    if (free > most_free) {
      most = &id;
      most_free = free;
    }
  }
  return most;
}

std::vector<v1::RankPlacement> Pool::Take(v1::Device kind, int ranks) {
  std::vector<v1::RankPlacement> placed;
  if (Count(kind).free < ranks) return placed;
  while (static_cast<int>(placed.size()) < ranks) {
    const int rest = ranks - static_cast<int>(placed.size());
    // The fullest hosts first is the fewest hosts; the last one is the one that the rest fills best.
    const std::string* worker_id = BestFit(kind, rest);
    if (worker_id == nullptr) worker_id = MostFree(kind);
    std::vector<int>& free = workers_.at(*worker_id).free.at(kind);
    const int take = std::min<int>(rest, static_cast<int>(free.size()));
    for (int i = 0; i < take; ++i) {
      v1::RankPlacement rank;
      rank.set_rank(static_cast<int>(placed.size()));
      rank.set_worker_id(*worker_id);
      rank.set_slot(free[i]);
      placed.push_back(rank);
    }
    free.erase(free.begin(), free.begin() + take);
  }
  return placed;
}

}  // namespace mixln::coordinator::schedule
