// What users end: cancelling trials and sweeps, and deleting sweeps. Internal to control.
#pragma once

#include <string>

#include "coordinator/control/context.h"

namespace mixln::coordinator::control {

// NOT_FOUND, and how to list what there is.
absl::Status NoSuchSweep(const std::string& id);
absl::Status NoSuchTrial(const std::string& id);

// Asks the trial to end as CANCELLED: one that waits ends at once, a live one when its ranks have ended. The
// first commit wins: a terminal trial stays as it is, and one whose attempt is being ended for a cause that
// no retry cures ends by that cause. NOT_FOUND.
absl::Status CancelTrial(Context& context, const std::string& trial_id);

// Cancels all trials of the sweep. NOT_FOUND.
absl::Status CancelSweep(Context& context, const std::string& sweep_id);

// Forgets an ended sweep and its trials and orders its artifacts deleted. NOT_FOUND; FAILED_PRECONDITION
// while a trial has not ended; UNAVAILABLE when there are artifacts and no worker is connected that could
// delete them.
absl::Status DeleteSweep(Context& context, const std::string& sweep_id);

}  // namespace mixln::coordinator::control
