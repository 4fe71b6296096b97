#include "coordinator/control/quarantine.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {
namespace {

constexpr int kTrials = 3;

bool MayBeTheWorkers(v1::FailureCause cause) {
  return cause == v1::FAILURE_CAUSE_TRAINER_CRASH || cause == v1::FAILURE_CAUSE_HANG ||
         cause == v1::FAILURE_CAUSE_IO;
}

bool OthersAreReady(const state::State& state, const std::string& worker_id) {
  return std::any_of(state.workers.begin(), state.workers.end(), [&](const auto& entry) {
    return entry.first != worker_id && entry.second.worker.state() == v1::WORKER_STATE_READY;
  });
}

}  // namespace

void HoldAgainst(Context& context, const std::string& worker_id, const std::string& trial_id,
                 v1::FailureCause cause) {
  const auto found = context.state.workers.find(worker_id);
  if (found == context.state.workers.end() || !MayBeTheWorkers(cause)) return;
  v1::Worker& worker = found->second.worker;
  auto& failed = *worker.mutable_failed_trial_ids();
  if (worker.quarantined()) return;
  context.decision.changes.workers.insert(worker_id);
  if (std::find(failed.begin(), failed.end(), trial_id) == failed.end()) {
    if (failed.size() == kTrials) failed.DeleteSubrange(0, 1);
    *failed.Add() = trial_id;
  }
  if (failed.size() < kTrials) return;
  const std::string what = absl::StrCat(kTrials, " trials in a row failed on it, the last one by ",
                                        state::CauseName(cause), ": ", absl::StrJoin(failed, ", "));
  if (!OthersAreReady(context.state, worker_id)) {
    if (!worker.drained())
      worker.set_reason(absl::StrCat(what, "; kept in service because no other worker is ready"));
    return;
  }
  worker.set_quarantined(true);
  worker.set_reason(absl::StrCat("quarantined: ", what));
  if (worker.state() == v1::WORKER_STATE_READY) worker.set_state(v1::WORKER_STATE_DRAINING);
  context.place = true;
}

void ClearWorkersOf(Context& context, const v1::Attempt& attempt) {
  for (const std::string& worker_id : state::WorkersOf(attempt)) {
    const auto found = context.state.workers.find(worker_id);
    if (found == context.state.workers.end()) continue;
    v1::Worker& worker = found->second.worker;
    if (worker.failed_trial_ids().empty() || worker.quarantined()) continue;
    worker.clear_failed_trial_ids();
    if (!worker.drained()) worker.clear_reason();
    context.decision.changes.workers.insert(worker_id);
  }
}

}  // namespace mixln::coordinator::control
