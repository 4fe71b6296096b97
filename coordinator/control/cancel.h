// What users end: cancelling trials and sweeps. Internal to control.
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

}  // namespace mixln::coordinator::control
