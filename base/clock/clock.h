// Reads the machine's clocks. Only shells call this; pure code takes base::Now as an argument.
#pragma once

#include "base/time/time.h"

namespace mixln::base {

// CLOCK_BOOTTIME and CLOCK_REALTIME, read one after the other.
Now ReadClock();

}  // namespace mixln::base
