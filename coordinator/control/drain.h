// Taking a worker out of service, and back. Internal to control.
#pragma once

#include "coordinator/control/context.h"
#include "coordinator/control/event.h"

namespace mixln::coordinator::control {

// The worker takes no new attempts, and those that it has stop with a checkpoint and are placed elsewhere:
// they are PREEMPTED, which is no failure and is not counted. Kept in the worker's row until it is undone,
// which ends a quarantine, too. The same twice changes nothing but the reason. NOT_FOUND.
absl::Status DrainWorker(Context& context, const WorkerDrained& event);

}  // namespace mixln::coordinator::control
