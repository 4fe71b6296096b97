// What is kept of a sweep's checkpoints. Only the coordinator orders deletions, and never that of a
// checkpoint that an unfinished trial may resume from. Internal to control.
#pragma once

#include "coordinator/control/context.h"

namespace mixln::coordinator::control {

// Has the oldest accepted checkpoints of the trial beyond its sweep's retention.checkpoints, or else
// kept_checkpoints, deleted by the worker. Those that it took over from the trial it tries again are that
// one's: they are let go of, not deleted.
void DeleteSurplusCheckpoints(Context& context, v1::Trial& trial, const std::string& worker_id);

// Has the checkpoints of trials deleted that ended longer ago than their sweep's retention.seconds_after_end,
// if a worker is connected that can do it.
void DeleteOldCheckpoints(Context& context);

}  // namespace mixln::coordinator::control
