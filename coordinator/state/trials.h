// What can be said of a trial and its attempts from their rows alone, and the one way to change a trial's
// state.
#pragma once

#include <string>
#include <vector>

#include "base/time/time.h"
#include "coordinator/state/state.h"

namespace mixln::coordinator::state {

// SUCCEEDED, FAILED, DIVERGED, PRUNED or CANCELLED.
bool IsTerminal(v1::TrialState trial_state);

// The attempt that has not ended; null when there is none. A trial has one at most, its last.
const v1::Attempt* LiveAttemptOf(const v1::Trial& trial);
v1::Attempt* LiveAttemptOf(v1::Trial& trial);

// Whether the attempt has ranks on the worker, and those have not ended.
bool RunsOn(const v1::Attempt& attempt, const std::string& worker_id);

// Workers of the attempt, in the order of their first rank.
std::vector<std::string> WorkersOf(const v1::Attempt& attempt);

// Ids of the sweep's trials. All of them have ids "<sweep>-<index>".
std::vector<std::string> TrialsOf(const State& state, const std::string& sweep_id);

// The newest accepted checkpoint that is not bad; null when there is none.
const v1::Checkpoint* ResumePoint(const v1::Trial& trial);

// The artifacts folder that all workers of the attempt see; empty: they see different ones, or it is not
// known.
std::string ArtifactsOf(const State& state, const v1::Attempt& attempt);

// Names of the known workers' hosts that see the artifacts folder: "gpu-3, gpu-4"; "a worker that is gone"
// when there is none.
std::string HostsThatSee(const State& state, const std::string& artifacts_id);

// Whether the checkpoint that the attempt was to resume from has turned out to be bad.
bool ResumedFromBad(const v1::Trial& trial, const v1::Attempt& attempt);

// "pending", "running", …
std::string StateName(v1::TrialState trial_state);

// "worker lost", "out of memory", …
std::string CauseName(v1::FailureCause cause);

// Moves the trial to `next`, keeping its end time, its sweep's counts and end time, and State::pending.
// Throws std::logic_error, which nobody catches, when the trial is terminal already: to stop is better than
// to rewrite a result.
void SetTrialState(State& state, v1::Trial& trial, v1::TrialState next, base::Time wall);

// Finds State::pending anew, for rows that came otherwise than by SetTrialState.
void FindPending(State& state);

// Counts the trial, which has ended, as superseded: a newer one tries it again and counts instead.
void CountAsSuperseded(State& state, const v1::Trial& trial);

google::protobuf::Timestamp ToTimestamp(base::Time wall);
base::Time FromTimestamp(const google::protobuf::Timestamp& timestamp);

}  // namespace mixln::coordinator::state
