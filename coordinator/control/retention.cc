#include "coordinator/control/retention.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/control/reserve.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {
namespace {

// Checkpoints that unfinished trials of the sweep may resume from.
std::set<std::string> NeededOf(const state::State& state, const std::vector<std::string>& trials) {
  std::set<std::string> needed;
  for (const std::string& id : trials) {
    const v1::Trial& trial = state.trials.at(id);
    if (state::IsTerminal(trial.state())) continue;
    for (const v1::Checkpoint& checkpoint : trial.checkpoints()) needed.insert(checkpoint.path());
  }
  return needed;
}

}  // namespace

void DeleteSurplusCheckpoints(Context& context, v1::Trial& trial, const std::string& worker_id) {
  const v1::Sweep& sweep = context.state.sweeps.at(trial.sweep_id());
  const int asked = sweep.spec().retention().checkpoints();
  const int kept = asked == 0 ? context.options.kept_checkpoints : std::max(asked, 2);
  // Damaged ones do not count as kept, and go when they are older than all that do.
  int surplus = trial.checkpoints_size();
  for (int good = 0; surplus > 0 && good < kept; --surplus) {
    if (!trial.checkpoints(surplus - 1).bad()) ++good;
  }
  if (surplus == 0) return;
  const std::string own = absl::StrCat(TrialDir(sweep, trial), "/");
  v1::CoordinatorMessage message;
  for (int i = 0; i < surplus; ++i) {
    if (absl::StartsWith(trial.checkpoints(i).path(), own))
      message.mutable_delete_()->add_paths(trial.checkpoints(i).path());
  }
  trial.mutable_checkpoints()->DeleteSubrange(0, surplus);
  if (message.has_delete_()) Send(context, worker_id, std::move(message));
}

void DeleteOldCheckpoints(Context& context) {
  for (const auto& [sweep_id, sweep] : context.state.sweeps) {
    const int64_t seconds = sweep.spec().retention().seconds_after_end();
    if (seconds <= 0) continue;
    const std::string* deleter = nullptr;
    for (const auto& [id, worker] : context.state.workers) {
      if (worker.session != 0) deleter = &id;
    }
    if (deleter == nullptr) return;
    const std::vector<std::string> trials = state::TrialsOf(context.state, sweep_id);
    const std::set<std::string> needed = NeededOf(context.state, trials);
    for (const std::string& id : trials) {
      v1::Trial& trial = context.state.trials.at(id);
      if (!state::IsTerminal(trial.state()) || trial.checkpoints().empty()) continue;
      const double age = base::ToSeconds(context.now.wall - state::FromTimestamp(trial.end_time()));
      if (age < static_cast<double>(seconds)) continue;
      v1::CoordinatorMessage message;
      auto& checkpoints = *trial.mutable_checkpoints();
      for (int i = checkpoints.size() - 1; i >= 0; --i) {
        if (needed.contains(checkpoints[i].path())) continue;
        message.mutable_delete_()->add_paths(checkpoints[i].path());
        checkpoints.DeleteSubrange(i, 1);
      }
      if (!message.has_delete_()) continue;
      Send(context, *deleter, std::move(message));
      MarkTrial(context, trial);
    }
  }
}

}  // namespace mixln::coordinator::control
