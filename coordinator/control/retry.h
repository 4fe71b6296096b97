// Trying again what has ended: a terminal state never changes, so this makes a new trial with retry_of.
// Results then count the newest of such a chain. Internal to control.
#pragma once

#include <string>

#include "coordinator/control/context.h"

namespace mixln::coordinator::control {

// Makes a PENDING trial of the same cell, with the next free index, unless there is one already; it counts in
// its sweep instead of the old one. With `from_checkpoint` it goes on from the trial's last accepted
// checkpoint.
void TryAgain(Context& context, const v1::Trial& trial, bool from_checkpoint);

// For a FAILED or CANCELLED trial. NOT_FOUND; FAILED_PRECONDITION for any other state.
absl::Status RetryTrial(Context& context, const std::string& trial_id);

// For each FAILED trial of the sweep that was not tried again yet. NOT_FOUND; FAILED_PRECONDITION when there
// is none.
absl::Status RetrySweep(Context& context, const std::string& sweep_id);

}  // namespace mixln::coordinator::control
