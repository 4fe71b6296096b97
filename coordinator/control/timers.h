// What only the passing of time brings about. Internal to control.
#pragma once

#include "coordinator/control/context.h"
#include "coordinator/control/event.h"

namespace mixln::coordinator::control {

// What waits for others gets the time back in which they could not be heard, and workers have as long to come
// back as after a restart: their streams may have ended meanwhile.
void AllowForStandstill(Context& context, const StoodStill& event);

// Leases run out, back-offs end, starting, stopping and training take too long, and progress that was held
// back is written.
void RunTimers(Context& context);

}  // namespace mixln::coordinator::control
