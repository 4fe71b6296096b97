#include "coordinator/control/drain.h"

#include "absl/strings/str_cat.h"
#include "coordinator/control/attempts.h"
#include "coordinator/control/workers.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {

absl::Status DrainWorker(Context& context, const WorkerDrained& event) {
  const auto found = context.state.workers.find(event.worker_id);
  if (found == context.state.workers.end()) {
    return absl::NotFoundError(
        absl::StrCat("there is no worker ", event.worker_id, ": `mixlnctl nodes` lists them"));
  }
  v1::Worker& worker = found->second.worker;
  worker.set_drained(!event.undo);
  if (event.undo) {
    worker.clear_quarantined();
    worker.clear_failed_trial_ids();
  }
  worker.set_reason(event.undo             ? ""
                    : event.reason.empty() ? "drained by a user"
                                           : absl::StrCat("drained by a user: ", event.reason));
  if (event.undo && worker.state() == v1::WORKER_STATE_DRAINING) worker.set_state(v1::WORKER_STATE_READY);
  if (!event.undo && worker.state() == v1::WORKER_STATE_READY) worker.set_state(v1::WORKER_STATE_DRAINING);
  context.decision.changes.workers.insert(worker.id());
  context.place = true;
  if (event.undo) return absl::OkStatus();
  for (const std::string& trial_id : TrialsOn(context.state, worker.id())) {
    v1::Trial& trial = context.state.trials.at(trial_id);
    if (trial.state() == v1::TRIAL_STATE_STOPPING) continue;
    FailAttempt(context, trial, v1::FAILURE_CAUSE_PREEMPTED,
                absl::StrCat("worker ", worker.id(), " is drained"), v1::STOP_MODE_CHECKPOINT);
  }
  return absl::OkStatus();
}

}  // namespace mixln::coordinator::control
