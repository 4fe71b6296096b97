#include "coordinator/control/cancel.h"

#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/control/attempts.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {
namespace {

void Cancel(Context& context, v1::Trial& trial) {
  if (state::IsTerminal(trial.state()) || trial.cancel_requested()) return;
  trial.set_cancel_requested(true);
  if (state::LiveAttemptOf(trial) == nullptr) {
    context.state.not_before.erase(trial.id());
    MoveTrial(context, trial, v1::TRIAL_STATE_CANCELLED, "cancelled while it waited");
    context.place = true;
    return;
  }
  StopAttempt(context, trial, v1::STOP_MODE_NOW, "being cancelled");
}

}  // namespace

absl::Status NoSuchSweep(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("there is no sweep ", id, ": `mixlnctl get sweeps` lists them"));
}

absl::Status NoSuchTrial(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("there is no trial ", id, ": `mixlnctl get trials` lists them"));
}

absl::Status CancelTrial(Context& context, const std::string& trial_id) {
  const auto trial = context.state.trials.find(trial_id);
  if (trial == context.state.trials.end()) return NoSuchTrial(trial_id);
  Cancel(context, trial->second);
  return absl::OkStatus();
}

absl::Status CancelSweep(Context& context, const std::string& sweep_id) {
  if (!context.state.sweeps.contains(sweep_id)) return NoSuchSweep(sweep_id);
  for (const std::string& id : state::TrialsOf(context.state, sweep_id))
    Cancel(context, context.state.trials.at(id));
  return absl::OkStatus();
}

absl::Status DeleteSweep(Context& context, const std::string& sweep_id) {
  const auto sweep = context.state.sweeps.find(sweep_id);
  if (sweep == context.state.sweeps.end()) return NoSuchSweep(sweep_id);
  const std::vector<std::string> trials = state::TrialsOf(context.state, sweep_id);
  int unfinished = 0;
  std::set<std::string> runners;  // workers that ran any of it
  for (const std::string& id : trials) {
    const v1::Trial& trial = context.state.trials.at(id);
    if (!state::IsTerminal(trial.state())) ++unfinished;
    for (const v1::Attempt& attempt : trial.attempts()) {
      for (const std::string& worker : state::WorkersOf(attempt)) runners.insert(worker);
    }
  }
  if (unfinished > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("sweep ", sweep_id, " has ", unfinished, unfinished == 1 ? " trial" : " trials",
                     " that did not end yet: cancel it first (`mixlnctl cancel ", sweep_id, "`)"));
  }
  if (!runners.empty()) {
    // The checkpoints are anyone's to delete, a rank's folder only its worker's.
    std::set<std::string> deleters;
    std::string any;
    for (const auto& [id, worker] : context.state.workers) {
      if (worker.session == 0) continue;
      any = id;
      if (runners.contains(id)) deleters.insert(id);
    }
    if (any.empty()) {
      return absl::UnavailableError(
          absl::StrCat("no worker is connected that could delete the artifacts of sweep ", sweep_id,
                       ": start one and try again"));
    }
    if (deleters.empty()) deleters.insert(any);
    for (const std::string& id : deleters) {
      v1::CoordinatorMessage message;
      message.mutable_delete_()->add_paths(sweep->second.artifact_uri());
      Send(context, id, std::move(message));
    }
  }
  for (const std::string& id : trials) {
    context.state.trials.erase(id);
    context.decision.changes.trials.insert(id);
  }
  context.state.sweeps.erase(sweep);
  context.decision.changes.sweeps.insert(sweep_id);
  return absl::OkStatus();
}

}  // namespace mixln::coordinator::control
