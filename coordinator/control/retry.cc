#include "coordinator/control/retry.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "coordinator/control/cancel.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {

namespace {

// What a new trial of a sweep has to know of the others.
struct Others {
  std::set<std::string> superseded;  // tried again already
  int next_index = 0;
};

Others LookAtOthers(const state::State& state, const std::string& sweep_id) {
  Others others;
  for (const std::string& id : state::TrialsOf(state, sweep_id)) {
    const v1::Trial& trial = state.trials.at(id);
    others.superseded.insert(trial.retry_of());
    others.next_index = std::max(others.next_index, trial.index() + 1);
  }
  return others;
}

void MakeRetry(Context& context, const v1::Trial& trial, int index, bool from_checkpoint) {
  v1::Trial made;
  made.set_id(absl::StrCat(trial.sweep_id(), "-", index));
  made.set_sweep_id(trial.sweep_id());
  made.set_index(index);
  *made.mutable_parameters() = trial.parameters();
  *made.mutable_spec() = trial.spec();
  *made.mutable_create_time() = state::ToTimestamp(context.now.wall);
  made.set_retry_of(trial.id());
  const v1::Checkpoint* checkpoint = from_checkpoint ? state::ResumePoint(trial) : nullptr;
  if (checkpoint != nullptr) *made.add_checkpoints() = *checkpoint;
  state::CountAsSuperseded(context.state, trial);
  v1::Trial& kept = context.state.trials[made.id()] = made;
  MoveTrial(context, kept, v1::TRIAL_STATE_PENDING, absl::StrCat("tries ", trial.id(), " again"));
  context.place = true;
}

}  // namespace

void TryAgain(Context& context, const v1::Trial& trial, bool from_checkpoint) {
  const Others others = LookAtOthers(context.state, trial.sweep_id());
  if (!others.superseded.contains(trial.id())) MakeRetry(context, trial, others.next_index, from_checkpoint);
}

absl::Status RetryTrial(Context& context, const std::string& trial_id) {
  const auto found = context.state.trials.find(trial_id);
  if (found == context.state.trials.end()) return NoSuchTrial(trial_id);
  const v1::Trial& trial = found->second;
  if (trial.state() != v1::TRIAL_STATE_FAILED && trial.state() != v1::TRIAL_STATE_CANCELLED) {
    return absl::FailedPreconditionError(
        absl::StrCat("trial ", trial_id, " is ", state::StateName(trial.state()),
                     ": only a failed or cancelled trial can be tried again"));
  }
  TryAgain(context, trial, /*from_checkpoint=*/false);
  return absl::OkStatus();
}

absl::Status RetrySweep(Context& context, const std::string& sweep_id) {
  if (!context.state.sweeps.contains(sweep_id)) return NoSuchSweep(sweep_id);
  Others others = LookAtOthers(context.state, sweep_id);
  bool any = false;
  for (const std::string& id : state::TrialsOf(context.state, sweep_id)) {
    const v1::Trial& trial = context.state.trials.at(id);
    if (trial.state() != v1::TRIAL_STATE_FAILED || others.superseded.contains(id)) continue;
    MakeRetry(context, trial, others.next_index++, /*from_checkpoint=*/false);
    any = true;
  }
  if (any) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("sweep ", sweep_id, " has no failed trial that was not tried again already"));
}

}  // namespace mixln::coordinator::control
