// What ranks recorded: a trial's latest numbers, and its checkpoints. Internal to control.
//
// Rows and commits. Evaluations, checkpoints, the first and the last step and the end of training always mark
// the trial's row as changed. Other steps do so once in Options::progress_interval at most; a tick writes
// what was held back. So a restart loses at most that much of the step, loss and speed that tables show,
// until the next step comes in; the curves, which results are computed from, are stored apart with every
// event.
#pragma once

#include "coordinator/control/context.h"
#include "coordinator/control/event.h"

namespace mixln::coordinator::control {

// Takes in a batch. FAILED_PRECONDITION, and Stop to the worker, unless the fence is the trial's live attempt
// and has that rank on that worker. INVALID_ARGUMENT, and the stream is closed, when events before it or in
// it are missing. What was taken in already changes nothing.
absl::Status OnRankEvents(Context& context, const RankEventsReceived& event);

// The trial's progress differs from its row: marks the row when it was not written for progress_interval.
void MarkProgress(Context& context, const v1::Trial& trial);

}  // namespace mixln::coordinator::control
