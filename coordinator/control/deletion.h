// Deleting sweeps, on workers that are there and on those that come back later. Internal to control.
//
// What a worker is to delete stays in its row until it is sure to know: it is told at once, or else when it
// connects, and again on each stream. A worker that is heard a lease later on the same stream has had an
// answer since, or it would have left the stream, and messages come in order: it had the order too.
#pragma once

#include <string>

#include "coordinator/control/context.h"

namespace mixln::coordinator::control {

// Forgets an ended sweep and its trials and orders its artifacts deleted: the checkpoints by any worker, the
// ranks' folders by those that ran them. NOT_FOUND; FAILED_PRECONDITION while a trial has not ended;
// UNAVAILABLE when there are artifacts and no worker is connected that could delete them.
absl::Status DeleteSweep(Context& context, const std::string& sweep_id);

// The worker has connected: it is told what it is to delete.
void TellDeletions(Context& context, const std::string& worker_id);

// Forgets what workers are sure to know by now.
void ForgetToldDeletions(Context& context);

}  // namespace mixln::coordinator::control
