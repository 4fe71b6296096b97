// What is kept of a sweep's artifacts. Only the coordinator orders deletions, and never that of a
// checkpoint that an unfinished trial may resume from. Internal to control.
#pragma once

#include "coordinator/control/context.h"

namespace mixln::coordinator::control {

// Has the oldest accepted checkpoints of the trial beyond its sweep's retention.checkpoints, or else
// kept_checkpoints, deleted by the worker. Those that it took over from the trial it tries again are that
// one's: they are let go of, not deleted.
void DeleteSurplusCheckpoints(Context& context, v1::Trial& trial, const std::string& worker_id);

// An attempt has started at `step`, and with that the curve of all later ones is gone: checkpoints of them
// are no longer what the trial can go on from, and are deleted. (It began anew, as no worker that sees them
// was there.)
void DropSupersededCheckpoints(Context& context, v1::Trial& trial, const v1::Attempt& attempt, int64_t step,
                               const std::string& worker_id);

// Has the folders of trials deleted that ended longer ago than their sweep's retention.seconds_after_end: the
// checkpoints by any worker, the ranks' folders by those that ran them. A worker that was away, or that may
// have lost the message, is told once it connects. A checkpoint that an unfinished trial may resume from
// keeps its trial's folder. What ended trials took over from one whose folder goes leaves their rows.
void DeleteOldArtifacts(Context& context);

}  // namespace mixln::coordinator::control
