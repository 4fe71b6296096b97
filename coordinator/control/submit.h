// Accepting a sweep. Internal to control.
#pragma once

#include "coordinator/control/context.h"
#include "coordinator/control/event.h"

namespace mixln::coordinator::control {

// Makes the sweep and a PENDING trial for each cell. OK without a change when the name is taken by an equal
// spec (the caller sees from the uid that it got the older sweep) or the request id was answered before.
// ALREADY_EXISTS, naming what differs, when the name is taken by another spec. INVALID_ARGUMENT when there is
// no cell, a gang can never fit, or the request id belongs to a sweep of another name.
absl::Status SubmitSweep(Context& context, const SweepSubmitted& event);

}  // namespace mixln::coordinator::control
