// Attempts that a worker has and that are not to go on: of older fences, of deleted sweeps, of other
// coordinators. They change nothing, are told to stop, and hold their slots until the worker says that they
// ended. Internal to control.
#pragma once

#include <string>

#include "coordinator/control/context.h"

namespace mixln::coordinator::control {

// Notes it and tells the worker to end it at once. One that has ENDED is left alone, so that no stop is
// answered for ever.
void StopLeftover(Context& context, const std::string& worker_id, const v1::AttemptStatus& status);

// It has ended: its slots are free.
void ForgetLeftover(Context& context, const std::string& worker_id, const v1::Fence& fence);

}  // namespace mixln::coordinator::control
