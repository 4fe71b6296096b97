#include "coordinator/control/pause.h"

#include "absl/strings/str_cat.h"
#include "coordinator/control/attempts.h"
#include "coordinator/control/cancel.h"
#include "coordinator/control/retry.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {
namespace {

bool CanPause(const v1::Trial& trial) {
  return !state::IsTerminal(trial.state()) && !trial.cancel_requested() && !trial.prune_requested();
}

void Pause(Context& context, v1::Trial& trial) {
  trial.clear_resume_requested();
  if (trial.state() == v1::TRIAL_STATE_PAUSED || trial.pause_requested()) {
    MarkTrial(context, trial);
    return;
  }
  context.place = true;
  if (state::LiveAttemptOf(trial) == nullptr) {
    context.state.not_before.erase(trial.id());
    trial.clear_not_before();
    MoveTrial(context, trial, v1::TRIAL_STATE_PAUSED, "paused while it waited");
    return;
  }
  trial.set_pause_requested(true);
  MarkTrial(context, trial);
  // One that is being stopped already is concluded as PAUSED when its ranks have ended.
  if (trial.state() == v1::TRIAL_STATE_STOPPING) return;
  StopAttempt(context, trial, v1::STOP_MODE_CHECKPOINT, "being paused");
}

bool CanResume(const v1::Trial& trial) {
  return trial.state() == v1::TRIAL_STATE_PAUSED || (trial.pause_requested() && !trial.cancel_requested());
}

void Resume(Context& context, v1::Trial& trial) {
  if (trial.pause_requested()) {  // its ranks are writing a checkpoint
    trial.set_resume_requested(true);
    MarkTrial(context, trial);
    return;
  }
  const v1::Checkpoint* checkpoint = state::ResumePoint(trial);
  MoveTrial(context, trial, v1::TRIAL_STATE_PENDING,
            checkpoint == nullptr ? "resumed from the start"
                                  : absl::StrCat("resumed from step ", checkpoint->step()));
  context.place = true;
}

}  // namespace

absl::Status PauseTrial(Context& context, const std::string& trial_id) {
  const auto found = context.state.trials.find(trial_id);
  if (found == context.state.trials.end()) return NoSuchTrial(trial_id);
  v1::Trial& trial = found->second;
  if (!CanPause(trial)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "trial ", trial_id, state::IsTerminal(trial.state()) ? " has ended (" : " is being ended (",
        state::StateName(trial.state()), "): there is nothing to pause"));
  }
  Pause(context, trial);
  return absl::OkStatus();
}

absl::Status PauseSweep(Context& context, const std::string& sweep_id) {
  if (!context.state.sweeps.contains(sweep_id)) return NoSuchSweep(sweep_id);
  bool any = false;
  for (const std::string& id : state::TrialsOf(context.state, sweep_id)) {
    v1::Trial& trial = context.state.trials.at(id);
    if (!CanPause(trial)) continue;
    any = true;
    Pause(context, trial);
  }
  if (any) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("all trials of sweep ", sweep_id, " have ended: there is nothing to pause"));
}

absl::Status ResumeTrial(Context& context, const std::string& trial_id) {
  const auto found = context.state.trials.find(trial_id);
  if (found == context.state.trials.end()) return NoSuchTrial(trial_id);
  v1::Trial& trial = found->second;
  if (trial.state() == v1::TRIAL_STATE_PRUNED) {
    TryAgain(context, trial, /*from_checkpoint=*/true);
    return absl::OkStatus();
  }
  if (!CanResume(trial)) {
    return absl::FailedPreconditionError(absl::StrCat("trial ", trial_id, " is ",
                                                      state::StateName(trial.state()),
                                                      ": only a paused or pruned trial can be resumed"));
  }
  Resume(context, trial);
  return absl::OkStatus();
}

absl::Status ResumeSweep(Context& context, const std::string& sweep_id) {
  if (!context.state.sweeps.contains(sweep_id)) return NoSuchSweep(sweep_id);
  bool any = false;
  for (const std::string& id : state::TrialsOf(context.state, sweep_id)) {
    v1::Trial& trial = context.state.trials.at(id);
    if (!CanResume(trial)) continue;
    any = true;
    Resume(context, trial);
  }
  if (any) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("no trial of sweep ", sweep_id, " is paused: there is nothing to resume"));
}

}  // namespace mixln::coordinator::control
