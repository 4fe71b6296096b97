// What a live table shows of a trial.
#pragma once

#include "mixln/v1/sweep.pb.h"
#include "mixln/v1/trial.pb.h"

namespace mixln::services::coordinatord {

// The remaining time is the steps that are left at the speed of the last interval.
v1::TrialView ViewOf(const v1::Trial& trial);

}  // namespace mixln::services::coordinatord
