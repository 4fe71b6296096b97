#include "coordinator/control/reconcile.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "coordinator/control/attempts.h"
#include "coordinator/control/leftovers.h"
#include "coordinator/control/workers.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {
namespace {

void SendWelcome(Context& context, const WorkerConnected& event) {
  const v1::Hello& hello = event.hello;
  v1::CoordinatorMessage message;
  v1::Welcome& welcome = *message.mutable_welcome();
  welcome.set_term(context.state.term);
  welcome.set_cluster_id(context.state.cluster_id);
  welcome.set_heartbeat_seconds(base::ToSeconds(context.options.heartbeat));
  welcome.set_lease_seconds(base::ToSeconds(context.options.lease));
  for (const v1::AttemptStatus& status : hello.attempts()) {
    if (FindLivePart(context.state, hello.worker_id(), status.trial_id(), status.fence()))
      *welcome.add_keep() = status;
  }
  for (const v1::EventAck& cursor : event.cursors) {
    const LivePart part = FindLivePart(context.state, hello.worker_id(), cursor.trial_id(), cursor.fence());
    if (!part) continue;
    *welcome.add_cursors() = cursor;
    uint64_t& taken = part.live->taken[cursor.rank()];
    taken = std::max(taken, cursor.sequence());
  }
  Send(context, hello.worker_id(), std::move(message));
}

// How an attempt that is being ended was asked to: with a checkpoint where its trial is to go on later. One
// that takes too long is told to end at once (timers.h).
v1::StopMode StopModeOf(const v1::Trial& trial) {
  const bool goes_on = trial.pause_requested() || trial.prune_requested() ||
                       state::LiveAttemptOf(trial)->cause() == v1::FAILURE_CAUSE_PREEMPTED;
  return goes_on && !trial.cancel_requested() ? v1::STOP_MODE_CHECKPOINT : v1::STOP_MODE_NOW;
}

void ReconcilePresent(Context& context, const std::string& worker_id, const v1::AttemptStatus& status) {
  const LivePart part = FindLivePart(context.state, worker_id, status.trial_id(), status.fence());
  if (!part) {
    StopLeftover(context, worker_id, status);
    return;
  }
  const bool ended = status.phase() == v1::ATTEMPT_PHASE_ENDED;
  if (part.trial->state() == v1::TRIAL_STATE_STOPPING) {
    if (ended) {
      EndPart(context, *part.trial, worker_id, v1::FAILURE_CAUSE_UNSPECIFIED, "");
    } else {
      SendStop(context, worker_id, status.trial_id(), status.fence(), StopModeOf(*part.trial),
               part.trial->reason());
    }
    return;
  }
  if (ended) return;
  if (part.attempt->confirmed() && status.phase() != v1::ATTEMPT_PHASE_RUNNING) {
    FailAttempt(context, *part.trial, v1::FAILURE_CAUSE_WORKER_LOST,
                absl::StrCat("worker ", worker_id, " had lost its ranks"), v1::STOP_MODE_NOW);
    return;
  }
  part.live->phases.erase(worker_id);
  ObservePhase(context, part, worker_id, status.phase());
}

void ReconcileMissing(Context& context, const std::string& worker_id, v1::Trial& trial) {
  v1::Attempt& attempt = *state::LiveAttemptOf(trial);
  if (trial.state() == v1::TRIAL_STATE_STOPPING) {
    EndPart(context, trial, worker_id, v1::FAILURE_CAUSE_UNSPECIFIED, "");
    return;
  }
  // Once other hosts were given rank 0's rendezvous, a part cannot begin again alone.
  const bool alone = state::WorkersOf(attempt).size() == 1;
  if (!attempt.confirmed() && (alone || !attempt.started())) {
    RestartPart(context, {&trial, &attempt, &context.state.live.at(trial.id())}, worker_id);
    return;
  }
  EndPart(context, trial, worker_id, v1::FAILURE_CAUSE_WORKER_LOST,
          absl::StrCat("worker ", worker_id, " came back without its ranks"));
}

}  // namespace

void Reconcile(Context& context, const WorkerConnected& event) {
  const std::string& worker_id = event.hello.worker_id();
  context.state.workers.at(worker_id).leftovers.clear();
  SendWelcome(context, event);
  std::set<state::FenceKey> present;
  for (const v1::AttemptStatus& status : event.hello.attempts()) {
    present.insert(state::KeyOf(status.fence()));
    ReconcilePresent(context, worker_id, status);
  }
  for (const std::string& trial_id : TrialsOn(context.state, worker_id)) {
    v1::Trial& trial = context.state.trials.at(trial_id);
    if (!present.contains(state::KeyOf(state::LiveAttemptOf(trial)->fence()))) {
      ReconcileMissing(context, worker_id, trial);
    }
  }
}

}  // namespace mixln::coordinator::control
