#include "coordinator/control/retention.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
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

// A connected worker that sees the checkpoint, `worker_id` unless that is known not to; empty: there is none.
std::string DeleterOf(const state::State& state, const v1::Checkpoint& checkpoint,
                      const std::string& worker_id) {
  const std::string& artifacts = checkpoint.artifacts_id();
  if (artifacts.empty() || state.workers.at(worker_id).worker.artifacts_id() == artifacts) return worker_id;
  for (const auto& [id, record] : state.workers) {
    if (record.session != 0 && record.worker.artifacts_id() == artifacts) return id;
  }
  return "";
}

// Workers that are away and see the checkpoint are told to delete it when they come back.
void DeleteLater(Context& context, const v1::Checkpoint& checkpoint) {
  for (auto& [id, record] : context.state.workers) {
    if (record.worker.artifacts_id() != checkpoint.artifacts_id()) continue;
    record.deletions.insert(checkpoint.path());
    context.decision.changes.workers.insert(id);
  }
}

// Drops those checkpoints of the trial's row, and has the files of those that are its own deleted.
void DropCheckpoints(Context& context, v1::Trial& trial, const std::string& worker_id,
                     const std::set<std::string>& paths) {
  auto& checkpoints = *trial.mutable_checkpoints();
  const std::string own = absl::StrCat(TrialDir(context.state.sweeps.at(trial.sweep_id()), trial), "/");
  std::map<std::string, v1::CoordinatorMessage> messages;
  for (auto it = checkpoints.begin(); it != checkpoints.end();) {
    if (!paths.contains(it->path())) {
      ++it;
      continue;
    }
    if (absl::StartsWith(it->path(), own)) {
      const std::string deleter = DeleterOf(context.state, *it, worker_id);
      if (deleter.empty()) {
        DeleteLater(context, *it);
      } else {
        messages[deleter].mutable_delete_()->add_paths(it->path());
      }
    }
    it = checkpoints.erase(it);
  }
  for (auto& [deleter, message] : messages) Send(context, deleter, std::move(message));
}

}  // namespace

void DropSupersededCheckpoints(Context& context, v1::Trial& trial, const v1::Attempt& attempt, int64_t step,
                               const std::string& worker_id) {
  std::set<std::string> superseded;
  for (const v1::Checkpoint& checkpoint : trial.checkpoints()) {
    // Its own stay: metrics.db may have been lost, and it says everything again from its start.
    if (state::SameFence(checkpoint.fence(), attempt.fence()) || checkpoint.bad()) continue;
    if (checkpoint.step() > step) superseded.insert(checkpoint.path());
  }
  DropCheckpoints(context, trial, worker_id, superseded);
}

void DeleteSurplusCheckpoints(Context& context, v1::Trial& trial, const std::string& worker_id) {
  const v1::Sweep& sweep = context.state.sweeps.at(trial.sweep_id());
  const int asked = sweep.spec().retention().checkpoints();
  const int kept = asked == 0 ? context.options.kept_checkpoints : std::max(asked, 2);
  // Damaged ones do not count as kept, and go when they are older than all that do.
  int surplus = trial.checkpoints_size();
  for (int good = 0; surplus > 0 && good < kept; --surplus) {
    if (!trial.checkpoints(surplus - 1).bad()) ++good;
  }
  std::set<std::string> oldest;
  for (int i = 0; i < surplus; ++i) oldest.insert(trial.checkpoints(i).path());
  DropCheckpoints(context, trial, worker_id, oldest);
}

namespace {

constexpr int kMostPaths = 100;  // in one message: a worker moves them all before its next heartbeat

bool IsOver(const Context& context, const v1::Sweep& sweep, const v1::Trial& trial) {
  if (!state::IsTerminal(trial.state()) || trial.attempts().empty()) return false;
  const double age = base::ToSeconds(context.now.wall - state::FromTimestamp(trial.end_time()));
  return age >= static_cast<double>(sweep.spec().retention().seconds_after_end());
}

// Connected workers that ran the trial, or, if there is none and the trial has checkpoints, any connected
// one.
std::set<std::string> DeletersOf(const Context& context, const v1::Trial& trial) {
  std::set<std::string> deleters;
  const auto add = [&](const std::string& id) {
    const auto worker = context.state.workers.find(id);
    if (worker != context.state.workers.end() && worker->second.session != 0) deleters.insert(id);
  };
  for (const v1::Attempt& attempt : trial.attempts()) {
    for (const std::string& id : state::WorkersOf(attempt)) add(id);
  }
  for (auto it = context.state.workers.begin(); it != context.state.workers.end(); ++it) {
    if (!deleters.empty() || trial.checkpoints().empty()) break;
    add(it->first);
  }
  return deleters;
}

// The trials that try another one again, and may have taken over its checkpoint.
std::vector<std::string> HeirsIn(const state::State& state, std::vector<std::string> trials) {
  std::erase_if(trials, [&](const std::string& id) { return state.trials.at(id).retry_of().empty(); });
  return trials;
}

// The trials that took over checkpoints of one whose folder goes have them no longer.
void LetGoOf(Context& context, const std::vector<std::string>& heirs, const std::string& folder) {
  for (const std::string& id : heirs) {
    v1::Trial& trial = context.state.trials.at(id);
    auto& checkpoints = *trial.mutable_checkpoints();
    const auto gone =
        std::remove_if(checkpoints.begin(), checkpoints.end(), [&](const v1::Checkpoint& checkpoint) {
          return absl::StartsWith(checkpoint.path(), absl::StrCat(folder, "/"));
        });
    if (gone == checkpoints.end()) continue;
    checkpoints.erase(gone, checkpoints.end());
    MarkTrial(context, trial);
  }
}

}  // namespace

void DeleteOldArtifacts(Context& context) {
  std::map<std::string, v1::CoordinatorMessage> messages;
  for (const auto& [sweep_id, sweep] : context.state.sweeps) {
    if (sweep.spec().retention().seconds_after_end() <= 0) continue;
    const std::vector<std::string> trials = state::TrialsOf(context.state, sweep_id);
    const std::set<std::string> needed = NeededOf(context.state, trials);
    const std::vector<std::string> heirs = HeirsIn(context.state, trials);
    for (const std::string& id : trials) {
      v1::Trial& trial = context.state.trials.at(id);
      if (!IsOver(context, sweep, trial)) continue;
      const auto& checkpoints = trial.checkpoints();
      if (std::any_of(checkpoints.begin(), checkpoints.end(),
                      [&](const v1::Checkpoint& checkpoint) { return needed.contains(checkpoint.path()); }))
        continue;
      for (const std::string& worker_id : DeletersOf(context, trial)) {
        v1::Delete& order = *messages[worker_id].mutable_delete_();
        if (order.paths_size() == kMostPaths) continue;  // the rest goes with the next tick
        if (!context.state.workers.at(worker_id).tidied.insert(id).second) continue;
        order.add_paths(TrialDir(sweep, trial));
        if (trial.checkpoints().empty()) continue;
        trial.clear_checkpoints();
        MarkTrial(context, trial);
        LetGoOf(context, heirs, TrialDir(sweep, trial));
      }
    }
  }
  for (auto& [worker_id, message] : messages) {
    if (!message.delete_().paths().empty()) Send(context, worker_id, std::move(message));
  }
}

}  // namespace mixln::coordinator::control
