// Taking a worker out of service on which one trial after another fails: a broken host with free slots would
// otherwise draw in the whole queue. Internal to control.
//
// A failure is held against the worker when another one may not have it: TRAINER_CRASH, HANG or IO. (Memory,
// configuration, data and divergence are the trial's own; a lost worker or peer is seen otherwise.) Progress
// of any trial there clears the worker.
#pragma once

#include <string>

#include "coordinator/control/context.h"

namespace mixln::coordinator::control {

// The trial's part on the worker has failed. The third different trial quarantines it: it takes no new
// attempts until a user takes it back, and those that run there go on. The last worker in service is kept,
// which its reason says: that everything fails on it says nothing, and all work would stop.
void HoldAgainst(Context& context, const std::string& worker_id, const std::string& trial_id,
                 v1::FailureCause cause);

// The attempt made progress: nothing is held against its workers any more.
void ClearWorkersOf(Context& context, const v1::Attempt& attempt);

}  // namespace mixln::coordinator::control
