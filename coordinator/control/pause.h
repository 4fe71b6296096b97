// What users put off: pausing trials and sweeps, and resuming them. Internal to control.
#pragma once

#include <string>

#include "coordinator/control/context.h"

namespace mixln::coordinator::control {

// Asks the trial to become PAUSED: one that waits does at once, a live one stops with a checkpoint first. One
// that is PAUSED, or is being paused, stays so. NOT_FOUND; FAILED_PRECONDITION when it has ended or is being
// ended for good.
absl::Status PauseTrial(Context& context, const std::string& trial_id);

// Pauses all unfinished trials of the sweep. NOT_FOUND; FAILED_PRECONDITION when there is none.
absl::Status PauseSweep(Context& context, const std::string& sweep_id);

// A PAUSED trial is PENDING again, from its last accepted checkpoint; one that is being paused will be once
// its ranks have ended. For a PRUNED one a new trial is made that goes on from its last checkpoint, once.
// NOT_FOUND; FAILED_PRECONDITION for any other state.
absl::Status ResumeTrial(Context& context, const std::string& trial_id);

// Resumes all trials of the sweep that are PAUSED or are being paused. NOT_FOUND; FAILED_PRECONDITION when
// there is none.
absl::Status ResumeSweep(Context& context, const std::string& sweep_id);

}  // namespace mixln::coordinator::control
