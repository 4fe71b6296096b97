// What one step works on: the state, the decision that grows, the time. Internal to control.
#pragma once

#include <string>

#include "base/time/time.h"
#include "coordinator/control/decision.h"
#include "coordinator/control/options.h"
#include "coordinator/state/state.h"

namespace mixln::coordinator::control {

struct Context {
  state::State& state;
  Decision& decision;
  const base::Now now;
  const Options& options;
  bool place = false;  // slots or waiting trials changed: look for placements when the event is done
};

// Sends the worker a message, if it has a live session.
void Send(Context& context, const std::string& worker_id, v1::CoordinatorMessage message);

// Tells the worker to end the attempt's ranks that it has. `fenced`: it is no live attempt.
void SendStop(Context& context, const std::string& worker_id, const std::string& trial_id,
              const v1::Fence& fence, v1::StopMode mode, const std::string& reason, bool fenced = false);

// Moves the trial to `next` and marks its row and its sweep's as changed. See state::SetTrialState.
void MoveTrial(Context& context, v1::Trial& trial, v1::TrialState next, const std::string& reason);

// A PENDING trial whose checkpoint not every worker may see waits for one that does until then (steady
// clock).
void WaitForCheckpoint(state::State& state, const v1::Trial& trial, base::Time until);

// The trial's row is to be written; so is the progress in it.
void MarkTrial(Context& context, const v1::Trial& trial);

// The trial, its live attempt's row and what is known of that attempt; all null unless `fence` is the live
// attempt of the trial and has ranks on the worker that have not ended.
struct LivePart {
  v1::Trial* trial = nullptr;
  v1::Attempt* attempt = nullptr;
  state::LiveAttempt* live = nullptr;
  explicit operator bool() const { return trial != nullptr; }
};
LivePart FindLivePart(state::State& state, const std::string& worker_id, const std::string& trial_id,
                      const v1::Fence& fence);

}  // namespace mixln::coordinator::control
