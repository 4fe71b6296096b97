#include "coordinator/control/step.h"

#include <algorithm>

#include "coordinator/control/attempts.h"
#include "coordinator/control/cancel.h"
#include "coordinator/control/context.h"
#include "coordinator/control/deletion.h"
#include "coordinator/control/drain.h"
#include "coordinator/control/pause.h"
#include "coordinator/control/rank_events.h"
#include "coordinator/control/retry.h"
#include "coordinator/control/submit.h"
#include "coordinator/control/timers.h"
#include "coordinator/control/workers.h"
#include "coordinator/schedule/place.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {
namespace {

absl::Status Apply(Context& context, const SweepSubmitted& event) {
  return SubmitSweep(context, event);
}
absl::Status Apply(Context& context, const SweepCancelled& event) {
  return CancelSweep(context, event.sweep_id);
}
absl::Status Apply(Context& context, const SweepDeleted& event) {
  return DeleteSweep(context, event.sweep_id);
}
absl::Status Apply(Context& context, const TrialCancelled& event) {
  return CancelTrial(context, event.trial_id);
}
absl::Status Apply(Context& context, const TrialPaused& event) {
  return PauseTrial(context, event.trial_id);
}
absl::Status Apply(Context& context, const SweepPaused& event) {
  return PauseSweep(context, event.sweep_id);
}
absl::Status Apply(Context& context, const TrialResumed& event) {
  return ResumeTrial(context, event.trial_id);
}
absl::Status Apply(Context& context, const SweepResumed& event) {
  return ResumeSweep(context, event.sweep_id);
}
absl::Status Apply(Context& context, const TrialRetried& event) {
  return RetryTrial(context, event.trial_id);
}
absl::Status Apply(Context& context, const SweepRetried& event) {
  return RetrySweep(context, event.sweep_id);
}
absl::Status Apply(Context& context, const WorkerDrained& event) {
  return DrainWorker(context, event);
}
absl::Status Apply(Context& context, const WorkerConnected& event) {
  return OnConnected(context, event);
}

absl::Status Apply(Context& context, const WorkerDisconnected& event) {
  OnDisconnected(context, event);
  return absl::OkStatus();
}

absl::Status Apply(Context& context, const HeartbeatReceived& event) {
  return OnHeartbeat(context, event);
}

absl::Status Apply(Context& context, const AttemptReported& event) {
  absl::Status status = CheckSession(context, event.worker_id, event.session);
  if (status.ok()) OnReport(context, event);
  return status;
}

absl::Status Apply(Context& context, const RankEventsReceived& event) {
  absl::Status status = CheckSession(context, event.worker_id, event.session);
  return status.ok() ? OnRankEvents(context, event) : status;
}

absl::Status Apply(Context& context, const StoodStill& event) {
  AllowForStandstill(context, event);
  return absl::OkStatus();
}

absl::Status Apply(Context& context, const Tick&) {
  RunTimers(context);
  return absl::OkStatus();
}

void PlaceTrials(Context& context) {
  for (const schedule::Assignment& assignment : schedule::Place(context.state, context.now.steady))
    AssignAttempt(context, context.state.trials.at(assignment.trial_id), assignment.ranks);
  context.state.reasons_due = true;
}

void GiveReasons(state::State& state, base::Time steady) {
  for (const auto& [trial_id, reason] : schedule::Explain(state, steady))
    state.trials.at(trial_id).set_reason(reason);
  state.reasons_due = false;
}

}  // namespace

Decision Step(state::State& state, const Event& event, base::Now now, const Options& options) {
  Decision decision;
  Context context{.state = state, .decision = decision, .now = now, .options = options};
  decision.outcome = std::visit([&](const auto& e) { return Apply(context, e); }, event);
  if (context.place) PlaceTrials(context);
  if (state.reasons_due && std::holds_alternative<Tick>(event)) GiveReasons(state, now.steady);
  if (!decision.changes.empty()) ++state.revision;
  return decision;
}

void Recover(state::State& state, base::Now now, const Options& options) {
  state.live.clear();
  state.not_before.clear();
  state.checkpoint_until.clear();
  state::FindPending(state);
  for (auto& [id, record] : state.workers) {
    record.worker.set_state(v1::WORKER_STATE_UNKNOWN);
    record.lease_expiry = now.steady + options.reconnect_grace;
    record.session = 0;
    record.leftovers.clear();
  }
  for (const auto& [id, trial] : state.trials) {
    if (trial.state() == v1::TRIAL_STATE_PENDING)
      WaitForCheckpoint(state, trial, now.steady + options.reconnect_grace + options.checkpoint_wait);
    if (trial.has_not_before() && trial.state() == v1::TRIAL_STATE_PENDING) {
      // The wall clock may have been set: never wait longer than a back-off lasts.
      const base::Duration rest = state::FromTimestamp(trial.not_before()) - now.wall;
      if (rest.count() > 0) state.not_before[id] = now.steady + std::min(rest, options.retry_backoff.max);
    }
    const v1::Attempt* attempt = state::LiveAttemptOf(trial);
    if (attempt == nullptr) continue;
    state::LiveAttempt& live = state.live[id];
    live.fence = attempt->fence();
    const bool ending = trial.state() == v1::TRIAL_STATE_STOPPING;
    live.deadline =
        now.steady + options.reconnect_grace + (ending ? options.stop_grace : options.start_timeout);
    live.progress_stored = now.steady;
    if (attempt->confirmed()) {
      const base::Duration ran = now.wall - state::FromTimestamp(attempt->start_time());
      live.running_since = now.steady - std::max(ran, base::Duration(0));
    }
  }
  GiveReasons(state, now.steady);
}

}  // namespace mixln::coordinator::control
