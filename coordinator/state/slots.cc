#include "coordinator/state/slots.h"

#include "coordinator/state/trials.h"

namespace mixln::coordinator::state {
namespace {

const v1::Attempt* FindAttempt(const State& state, const std::string& trial_id, const v1::Fence& fence) {
  const auto trial = state.trials.find(trial_id);
  if (trial == state.trials.end()) return nullptr;
  for (const v1::Attempt& attempt : trial->second.attempts()) {
    if (SameFence(attempt.fence(), fence)) return &attempt;
  }
  return nullptr;
}

void Take(const v1::Attempt& attempt, const std::string& worker_id, const std::string& trial_id,
          TakenSlots& taken) {
  for (const v1::RankPlacement& rank : attempt.ranks()) {
    if (rank.worker_id() == worker_id) taken.trial_by_slot[rank.slot()] = trial_id;
  }
}

}  // namespace

std::map<std::string, TakenSlots> TakenSlotsByWorker(const State& state) {
  std::map<std::string, TakenSlots> taken;
  for (const auto& [id, record] : state.workers) {
    for (const auto& [fence, status] : record.leftovers) {
      const v1::Attempt* attempt = FindAttempt(state, status.trial_id(), status.fence());
      if (attempt == nullptr) {
        taken[id].unknown = true;
      } else {
        Take(*attempt, id, status.trial_id(), taken[id]);
      }
    }
  }
  for (const auto& [trial_id, live] : state.live) {
    const auto trial = state.trials.find(trial_id);
    if (trial == state.trials.end()) continue;
    const v1::Attempt* attempt = LiveAttemptOf(trial->second);
    if (attempt == nullptr) continue;
    for (const std::string& worker_id : WorkersOf(*attempt)) {
      if (RunsOn(*attempt, worker_id)) Take(*attempt, worker_id, trial_id, taken[worker_id]);
    }
  }
  return taken;
}

}  // namespace mixln::coordinator::state
