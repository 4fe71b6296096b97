#include "coordinator/control/attempts.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/control/conclude.h"
#include "coordinator/control/leftovers.h"
#include "coordinator/control/quarantine.h"
#include "coordinator/control/rank_events.h"
#include "coordinator/control/reserve.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {
namespace {

bool IsEnding(const v1::Trial& trial) {
  return trial.state() == v1::TRIAL_STATE_STOPPING;
}

// Whether every part has ended or is at least in `phase`.
bool AllReached(const LivePart& part, v1::AttemptPhase phase) {
  for (const std::string& worker_id : state::WorkersOf(*part.attempt)) {
    if (!state::RunsOn(*part.attempt, worker_id)) continue;
    const auto reached = part.live->phases.find(worker_id);
    if (reached == part.live->phases.end() || reached->second < phase) return false;
  }
  return true;
}

void SendStart(Context& context, const LivePart& part, const std::string& worker_id) {
  v1::CoordinatorMessage message;
  v1::Start& start = *message.mutable_start();
  start.set_trial_id(part.trial->id());
  *start.mutable_fence() = part.attempt->fence();
  start.set_rendezvous(part.attempt->rendezvous());
  Send(context, worker_id, std::move(message));
}

// Start to every part once all are reserved; later only to a worker that still, or again, says RESERVED.
void StartIfReserved(Context& context, const LivePart& part, const std::string& speaker) {
  const bool meets = part.attempt->ranks_size() == 1 || !part.attempt->rendezvous().empty();
  if (!meets || !AllReached(part, v1::ATTEMPT_PHASE_RESERVED)) return;
  const bool first = !part.attempt->started();
  if (first) {
    part.attempt->set_started(true);
    part.live->deadline = context.now.steady + context.options.start_timeout;
    MarkTrial(context, *part.trial);
  }
  for (const auto& [worker_id, phase] : part.live->phases) {
    if (phase == v1::ATTEMPT_PHASE_RESERVED && (first || worker_id == speaker))
      SendStart(context, part, worker_id);
  }
}

void ConfirmIfRunning(Context& context, const LivePart& part) {
  if (part.attempt->confirmed() || !AllReached(part, v1::ATTEMPT_PHASE_RUNNING)) return;
  part.attempt->set_confirmed(true);
  *part.attempt->mutable_start_time() = state::ToTimestamp(context.now.wall);
  if (!part.trial->has_start_time()) *part.trial->mutable_start_time() = part.attempt->start_time();
  part.live->running_since = context.now.steady;
  part.trial->mutable_progress()->clear_phase();
  MoveTrial(context, *part.trial, v1::TRIAL_STATE_RUNNING, "");
}

// The first cause stands, and none is noted once a cancel was asked for. A lost peer is the symptom of
// another part's failure, whose own cause replaces it.
void NoteCause(v1::Trial& trial, v1::Attempt& attempt, v1::FailureCause cause, const std::string& message) {
  if (cause == v1::FAILURE_CAUSE_UNSPECIFIED || trial.cancel_requested()) return;
  const bool symptom = attempt.cause() == v1::FAILURE_CAUSE_PEER_LOST && cause != v1::FAILURE_CAUSE_PREEMPTED;
  if (attempt.cause() != v1::FAILURE_CAUSE_UNSPECIFIED && !symptom) return;
  attempt.set_cause(cause);
  attempt.set_message(message);
}

// Why a part ended otherwise than by finishing its work, or than by being stopped by us; UNSPECIFIED: it did
// not.
v1::FailureCause CauseOf(const v1::Trial& trial, const v1::AttemptReport& report) {
  switch (report.outcome()) {
    case v1::ATTEMPT_OUTCOME_FINISHED: return v1::FAILURE_CAUSE_UNSPECIFIED;
    case v1::ATTEMPT_OUTCOME_DIVERGED: return v1::FAILURE_CAUSE_DIVERGED;
    case v1::ATTEMPT_OUTCOME_STOPPED:
      return IsEnding(trial) ? v1::FAILURE_CAUSE_UNSPECIFIED : v1::FAILURE_CAUSE_PREEMPTED;
    default:
      return report.cause() == v1::FAILURE_CAUSE_UNSPECIFIED ? v1::FAILURE_CAUSE_TRAINER_CRASH
                                                             : report.cause();
  }
}

// Whether all of the attempt's workers see the checkpoint, as far as that is known.
bool Sees(const state::State& state, const v1::Attempt& attempt, const v1::Checkpoint& checkpoint) {
  return checkpoint.artifacts_id().empty() || state::ArtifactsOf(state, attempt) == checkpoint.artifacts_id();
}

// "its checkpoint of step 40 is in the artifacts folder of gpu-3, where it found no free slots for 600 s".
std::string ExplainAnew(const Context& context, const v1::Checkpoint& checkpoint) {
  return absl::StrCat("its checkpoint of step ", checkpoint.step(), " is in the artifacts folder of ",
                      state::HostsThatSee(context.state, checkpoint.artifacts_id()),
                      ", where it found no free slots for ",
                      absl::StrFormat("%.0f", base::ToSeconds(context.options.checkpoint_wait)), " s");
}

}  // namespace

void AssignAttempt(Context& context, v1::Trial& trial, const std::vector<v1::RankPlacement>& ranks) {
  v1::Attempt& attempt = *trial.add_attempts();
  attempt.mutable_fence()->set_term(context.state.term);
  attempt.mutable_fence()->set_epoch(++context.state.last_epoch);
  context.decision.changes.epoch = true;
  for (const v1::RankPlacement& rank : ranks) *attempt.add_ranks() = rank;
  *attempt.mutable_create_time() = state::ToTimestamp(context.now.wall);
  if (const v1::Checkpoint* checkpoint = state::ResumePoint(trial)) {
    if (Sees(context.state, attempt, *checkpoint)) {
      attempt.set_resume_from(checkpoint->path());
      attempt.set_resume_step(checkpoint->step());
    } else {
      attempt.set_anew_reason(ExplainAnew(context, *checkpoint));
    }
  }
  state::LiveAttempt live;
  live.fence = attempt.fence();
  live.deadline = context.now.steady + context.options.start_timeout;
  context.state.live[trial.id()] = live;
  context.state.not_before.erase(trial.id());
  trial.clear_not_before();
  MoveTrial(context, trial, v1::TRIAL_STATE_STARTING, "");
  for (const std::string& worker_id : state::WorkersOf(attempt))
    SendReserve(context, trial, attempt, worker_id);
}

void SendReserve(Context& context, const v1::Trial& trial, const v1::Attempt& attempt,
                 const std::string& worker_id) {
  v1::CoordinatorMessage message;
  *message.mutable_reserve() =
      MakeReserve(context.state.sweeps.at(trial.sweep_id()), trial, attempt, worker_id);
  Send(context, worker_id, std::move(message));
}

void ObservePhase(Context& context, const LivePart& part, const std::string& worker_id,
                  v1::AttemptPhase phase) {
  v1::AttemptPhase& known = part.live->phases[worker_id];
  known = std::max(known, phase);
  if (IsEnding(*part.trial)) return;
  if (phase == v1::ATTEMPT_PHASE_PREPARING && !part.attempt->started()) {
    part.live->deadline = context.now.steady + context.options.start_timeout;
  }
  StartIfReserved(context, part, worker_id);
  ConfirmIfRunning(context, part);
}

void RestartPart(Context& context, const LivePart& part, const std::string& worker_id) {
  part.live->phases.erase(worker_id);
  if (part.attempt->started()) {
    part.attempt->set_started(false);
    part.attempt->clear_rendezvous();
    MarkTrial(context, *part.trial);
  }
  part.live->deadline = context.now.steady + context.options.start_timeout;
  SendReserve(context, *part.trial, *part.attempt, worker_id);
}

void EndPart(Context& context, v1::Trial& trial, const std::string& worker_id, v1::FailureCause cause,
             const std::string& message) {
  v1::Attempt& attempt = *state::LiveAttemptOf(trial);
  NoteCause(trial, attempt, cause, message);
  if (!state::ResumedFromBad(trial, attempt)) HoldAgainst(context, worker_id, trial.id(), cause);
  attempt.add_ended_workers(worker_id);
  MarkTrial(context, trial);
  context.place = true;
  const std::vector<std::string> workers = state::WorkersOf(attempt);
  const bool others = std::any_of(workers.begin(), workers.end(),
                                  [&](const std::string& worker) { return state::RunsOn(attempt, worker); });
  if (!others) {
    ConcludeAttempt(context, trial);
  } else if (cause != v1::FAILURE_CAUSE_UNSPECIFIED && !IsEnding(trial)) {
    StopAttempt(context, trial, v1::STOP_MODE_NOW,
                absl::StrCat(state::CauseName(cause), " on worker ", worker_id));
  }
}

void FailAttempt(Context& context, v1::Trial& trial, v1::FailureCause cause, const std::string& message,
                 v1::StopMode mode) {
  NoteCause(trial, *state::LiveAttemptOf(trial), cause, message);
  StopAttempt(context, trial, mode, absl::StrCat(state::CauseName(cause), ": ", message));
}

void StopAttempt(Context& context, v1::Trial& trial, v1::StopMode mode, const std::string& reason) {
  const v1::Attempt& attempt = *state::LiveAttemptOf(trial);
  MoveTrial(context, trial, v1::TRIAL_STATE_STOPPING, reason);
  context.state.live.at(trial.id()).deadline = context.now.steady + context.options.stop_grace;
  for (const std::string& worker_id : state::WorkersOf(attempt)) {
    if (state::RunsOn(attempt, worker_id))
      SendStop(context, worker_id, trial.id(), attempt.fence(), mode, reason);
  }
}

void OnReport(Context& context, const AttemptReported& event) {
  const v1::AttemptReport& report = event.report;
  const bool ended = report.phase() == v1::ATTEMPT_PHASE_ENDED;
  const LivePart part = FindLivePart(context.state, event.worker_id, report.trial_id(), report.fence());
  if (!part) {
    if (ended) {
      ForgetLeftover(context, event.worker_id, report.fence());
    } else {
      v1::AttemptStatus status;
      status.set_trial_id(report.trial_id());
      *status.mutable_fence() = report.fence();
      status.set_phase(report.phase());
      StopLeftover(context, event.worker_id, status);
      context.decision.refused = "stale_fence";
    }
    return;
  }
  if (ended) {
    if (report.outcome() == v1::ATTEMPT_OUTCOME_FINISHED) part.live->finished.insert(event.worker_id);
    EndPart(context, *part.trial, event.worker_id, CauseOf(*part.trial, report), report.message());
    return;
  }
  if (report.phase() == v1::ATTEMPT_PHASE_RESERVED && !report.rendezvous().empty() &&
      !part.attempt->started()) {
    part.attempt->set_rendezvous(report.rendezvous());
  }
  if (report.phase() == v1::ATTEMPT_PHASE_PREPARING && part.trial->progress().phase() != report.detail()) {
    part.trial->mutable_progress()->set_phase(report.detail());
    MarkProgress(context, *part.trial);
  }
  ObservePhase(context, part, event.worker_id, report.phase());
}

}  // namespace mixln::coordinator::control
