// What becomes of a trial when its attempt has ended: a terminal state, or another try. Internal to control.
//
//   all ranks finished                                  SUCCEEDED
//   a cancel was asked for                              CANCELLED
//   the search strategy gave it up                      PRUNED
//   a pause was asked for                               PAUSED
//   DIVERGED                                            DIVERGED, a result
//   OUT_OF_MEMORY, BAD_CONFIG, DATA_ERROR, MAX_RUNTIME  FAILED
//   WORKER_LOST, PREEMPTED                              PENDING at once; counted as a retry only when the
//   attempt made no
//                                                       progress
//   the checkpoint to resume from was damaged           PENDING at once, uncounted, from the one before
//   TRAINER_CRASH, HANG, PEER_LOST, IO, START_TIMEOUT   PENDING after a back-off, counted
//
// Progress is an accepted checkpoint beyond the step that the attempt resumed from; it sets the count to 0. A
// retry beyond retry.max_retries is FAILED instead.
#pragma once

#include "coordinator/control/context.h"

namespace mixln::coordinator::control {

// Ends the live attempt, all of whose parts have ended, and concludes the trial.
void ConcludeAttempt(Context& context, v1::Trial& trial);

}  // namespace mixln::coordinator::control
