#include "coordinator/control/cancel.h"

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

}  // namespace mixln::coordinator::control
