// What only the passing of time brings about. Internal to control.
#pragma once

#include "coordinator/control/context.h"

namespace mixln::coordinator::control {

// Leases run out, back-offs end, starting, stopping and training take too long, and progress that was held
// back is written.
void RunTimers(Context& context);

}  // namespace mixln::coordinator::control
