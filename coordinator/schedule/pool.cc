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
    slots.artifacts_id = record.worker.artifacts_id();
    const auto taken_here = taken.find(id);
    for (const v1::Slot& slot : record.worker.slots()) {
      const bool free =
          taken_here == taken.end() ||
          (!taken_here->second.unknown && !taken_here->second.trial_by_slot.contains(slot.index()));
      if (free) slots.free[slot.device()].push_back(slot.index());
      Add(slot.device(), slots.artifacts_id, {.total = 1, .free = free ? 1 : 0});
    }
    for (auto& [kind, indices] : slots.free) std::sort(indices.begin(), indices.end());
  }
}

v1::Device Pool::KindFor(const v1::ResourceSpec& resources) const {
  if (resources.device() == v1::DEVICE_GPU) return v1::DEVICE_GPU;
  if (resources.device() == v1::DEVICE_CPU) return v1::DEVICE_CPU;
  return Count(v1::DEVICE_GPU).total >= resources.ranks() ? v1::DEVICE_GPU : v1::DEVICE_CPU;
}

void Pool::Add(v1::Device kind, const std::string& artifacts_id, const KindCount& slots) {
  std::map<std::string, KindCount>& counts = counts_[kind];
  const auto add = [&](const std::string& folder) {
    counts[folder].total += slots.total;
    counts[folder].free += slots.free;
  };
  add("");
  if (!artifacts_id.empty()) add(artifacts_id);
}

const KindCount& Pool::Count(v1::Device kind, const std::string& artifacts_id) const {
  static const KindCount kNone;
  const auto counts = counts_.find(kind);
  if (counts == counts_.end()) return kNone;
  const auto count = counts->second.find(artifacts_id);
  return count == counts->second.end() ? kNone : count->second;
}

bool Pool::HasOpen() const {
  return std::any_of(counts_.begin(), counts_.end(), [&](const auto& kind) {
    return !kept_.contains(kind.first) && Count(kind.first).free > 0;
  });
}

std::vector<Pool::Workers::value_type*> Pool::Open(v1::Device kind, const std::string& artifacts_id) {
  std::vector<Workers::value_type*> open;
  if (kept_.contains(kind) || Count(kind, artifacts_id).free == 0) return open;
  for (auto& worker : workers_) {
    const WorkerSlots& slots = worker.second;
    const bool sees = artifacts_id.empty() || slots.artifacts_id == artifacts_id;
    if (sees && !slots.kept.contains(kind) && CountIn(slots.free, kind) > 0) open.push_back(&worker);
  }
  return open;
}

void Pool::Keep(v1::Device kind, const std::string& artifacts_id) {
  if (artifacts_id.empty()) {
    kept_.insert(kind);
    return;
  }
  for (auto& [id, slots] : workers_) {
    if (slots.artifacts_id == artifacts_id) slots.kept.insert(kind);
  }
}

std::vector<v1::RankPlacement> Pool::Take(v1::Device kind, int ranks, const std::string& artifacts_id) {
  std::vector<v1::RankPlacement> placed;
  const auto free_on = [kind](const Workers::value_type* worker) {
    return CountIn(worker->second.free, kind);
  };
  std::vector<Workers::value_type*> open = Open(kind, artifacts_id);
  int free = 0;
  for (const Workers::value_type* worker : open) free += free_on(worker);
  if (free < ranks) return placed;
  while (static_cast<int>(placed.size()) < ranks) {
    const int rest = ranks - static_cast<int>(placed.size());
    // The fullest hosts first is the fewest hosts; the last one is the one that the rest fills best.
    const auto better = [&](const Workers::value_type* a, const Workers::value_type* b) {
      const bool a_holds = free_on(a) >= rest;
      const bool b_holds = free_on(b) >= rest;
      if (a_holds != b_holds) return a_holds;
      return a_holds ? free_on(a) < free_on(b) : free_on(a) > free_on(b);
    };
    Workers::value_type& worker = **std::min_element(open.begin(), open.end(), better);
    std::vector<int>& slots = worker.second.free.at(kind);
    const int take = std::min<int>(rest, static_cast<int>(slots.size()));
    for (int i = 0; i < take; ++i) {
      v1::RankPlacement rank;
      rank.set_rank(static_cast<int>(placed.size()));
      rank.set_worker_id(worker.first);
      rank.set_slot(slots[i]);
      placed.push_back(rank);
    }
    slots.erase(slots.begin(), slots.begin() + take);
    Add(kind, worker.second.artifacts_id, {.total = 0, .free = -take});
  }
  return placed;
}

}  // namespace mixln::coordinator::schedule
