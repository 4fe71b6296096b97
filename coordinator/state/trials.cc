#include "coordinator/state/trials.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace mixln::coordinator::state {
namespace {

// PREFIX_SOME_NAME -> "some name".
std::string InWords(const std::string& enum_name, size_t prefix_length) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(enum_name.substr(prefix_length)), {{"_", " "}});
}

void AddToCounts(v1::TrialCounts& counts, v1::TrialState trial_state, int delta) {
  switch (trial_state) {
    case v1::TRIAL_STATE_PENDING: counts.set_pending(counts.pending() + delta); break;
    case v1::TRIAL_STATE_STARTING: counts.set_starting(counts.starting() + delta); break;
    case v1::TRIAL_STATE_RUNNING: counts.set_running(counts.running() + delta); break;
    case v1::TRIAL_STATE_STOPPING: counts.set_stopping(counts.stopping() + delta); break;
    case v1::TRIAL_STATE_PAUSED: counts.set_paused(counts.paused() + delta); break;
    case v1::TRIAL_STATE_SUCCEEDED: counts.set_succeeded(counts.succeeded() + delta); break;
    case v1::TRIAL_STATE_FAILED: counts.set_failed(counts.failed() + delta); break;
    case v1::TRIAL_STATE_DIVERGED: counts.set_diverged(counts.diverged() + delta); break;
    case v1::TRIAL_STATE_PRUNED: counts.set_pruned(counts.pruned() + delta); break;
    case v1::TRIAL_STATE_CANCELLED: counts.set_cancelled(counts.cancelled() + delta); break;
    default: break;  // UNSPECIFIED: a trial that is just being made
  }
}

bool AllEnded(const v1::TrialCounts& counts) {
  return counts.pending() + counts.starting() + counts.running() + counts.stopping() + counts.paused() == 0;
}

}  // namespace

bool IsTerminal(v1::TrialState trial_state) {
  switch (trial_state) {
    case v1::TRIAL_STATE_SUCCEEDED:
    case v1::TRIAL_STATE_FAILED:
    case v1::TRIAL_STATE_DIVERGED:
    case v1::TRIAL_STATE_PRUNED:
    case v1::TRIAL_STATE_CANCELLED: return true;
    default: return false;
  }
}

const v1::Attempt* LiveAttemptOf(const v1::Trial& trial) {
  if (trial.attempts().empty()) return nullptr;
  const v1::Attempt& last = *trial.attempts().rbegin();
  return last.has_end_time() ? nullptr : &last;
}

v1::Attempt* LiveAttemptOf(v1::Trial& trial) {
  if (trial.attempts().empty()) return nullptr;
  v1::Attempt* last = trial.mutable_attempts(trial.attempts_size() - 1);
  return last->has_end_time() ? nullptr : last;
}

bool RunsOn(const v1::Attempt& attempt, const std::string& worker_id) {
  const auto& ended = attempt.ended_workers();
  if (std::find(ended.begin(), ended.end(), worker_id) != ended.end()) return false;
  return std::any_of(attempt.ranks().begin(), attempt.ranks().end(),
                     [&](const v1::RankPlacement& rank) { return rank.worker_id() == worker_id; });
}

std::vector<std::string> WorkersOf(const v1::Attempt& attempt) {
  std::vector<std::string> workers;
  for (const v1::RankPlacement& rank : attempt.ranks()) {
    if (std::find(workers.begin(), workers.end(), rank.worker_id()) == workers.end()) {
      workers.push_back(rank.worker_id());
    }
  }
  return workers;
}

std::vector<std::string> TrialsOf(const State& state, const std::string& sweep_id) {
  std::vector<std::string> ids;
  const std::string prefix = absl::StrCat(sweep_id, "-");
  for (auto it = state.trials.lower_bound(prefix); it != state.trials.end(); ++it) {
    if (it->first.compare(0, prefix.size(), prefix) != 0) break;
    if (it->second.sweep_id() == sweep_id) ids.push_back(it->first);
  }
  return ids;
}

const v1::Checkpoint* ResumePoint(const v1::Trial& trial) {
  for (auto it = trial.checkpoints().rbegin(); it != trial.checkpoints().rend(); ++it) {
    if (!it->bad()) return &*it;
  }
  return nullptr;
}

std::string ArtifactsOf(const State& state, const v1::Attempt& attempt) {
  std::set<std::string> seen;
  for (const std::string& worker_id : WorkersOf(attempt)) {
    const auto worker = state.workers.find(worker_id);
    seen.insert(worker == state.workers.end() ? "" : worker->second.worker.artifacts_id());
  }
  return seen.size() == 1 ? *seen.begin() : "";
}

std::string HostsThatSee(const State& state, const std::string& artifacts_id) {
  std::set<std::string> hosts;
  for (const auto& [id, record] : state.workers) {
    if (record.worker.artifacts_id() == artifacts_id) hosts.insert(record.worker.hostname());
  }
  return hosts.empty() ? "a worker that is gone" : absl::StrJoin(hosts, ", ");
}

bool ResumedFromBad(const v1::Trial& trial, const v1::Attempt& attempt) {
  return std::any_of(trial.checkpoints().begin(), trial.checkpoints().end(),
                     [&](const v1::Checkpoint& checkpoint) {
                       return checkpoint.bad() && checkpoint.path() == attempt.resume_from();
                     });
}

std::string StateName(v1::TrialState trial_state) {
  return InWords(v1::TrialState_Name(trial_state), sizeof("TRIAL_STATE_") - 1);
}

std::string CauseName(v1::FailureCause cause) {
  return InWords(v1::FailureCause_Name(cause), sizeof("FAILURE_CAUSE_") - 1);
}

void SetTrialState(State& state, v1::Trial& trial, v1::TrialState next, base::Time wall) {
  const v1::TrialState before = trial.state();
  if (before == next) return;
  if (IsTerminal(before)) {
    throw std::logic_error(absl::StrCat("trial ", trial.id(), " is ", StateName(before),
                                        " and cannot become ", StateName(next)));
  }
  trial.set_state(next);
  state.pending.erase(trial.id());
  if (next == v1::TRIAL_STATE_PENDING) state.pending.insert(trial.id());
  if (IsTerminal(next)) *trial.mutable_end_time() = ToTimestamp(wall);
  const auto sweep = state.sweeps.find(trial.sweep_id());
  if (sweep == state.sweeps.end()) return;
  AddToCounts(*sweep->second.mutable_counts(), before, -1);
  AddToCounts(*sweep->second.mutable_counts(), next, +1);
  if (!IsTerminal(next)) {
    sweep->second.clear_end_time();  // a retry lets a sweep that had ended go on
  } else if (AllEnded(sweep->second.counts())) {
    *sweep->second.mutable_end_time() = ToTimestamp(wall);
  }
}

void FindPending(State& state) {
  state.pending.clear();
  for (const auto& [id, trial] : state.trials) {
    if (trial.state() == v1::TRIAL_STATE_PENDING) state.pending.insert(id);
  }
}

void CountAsSuperseded(State& state, const v1::Trial& trial) {
  v1::TrialCounts& counts = *state.sweeps.at(trial.sweep_id()).mutable_counts();
  AddToCounts(counts, trial.state(), -1);
  counts.set_superseded(counts.superseded() + 1);
}

google::protobuf::Timestamp ToTimestamp(base::Time wall) {
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(wall.micros / 1'000'000);
  timestamp.set_nanos(static_cast<int32_t>(wall.micros % 1'000'000) * 1000);
  return timestamp;
}

base::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  return {timestamp.seconds() * 1'000'000 + timestamp.nanos() / 1000};
}

}  // namespace mixln::coordinator::state
