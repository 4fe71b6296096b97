// Bringing together what a worker that has just connected runs and what it should run. Internal to control.
//
//   it has            and the attempt is         then
//   a part            live                       keep; Start or RUNNING follow if that was what it waited for
//   a part            being ended                keep, and stop: its ENDED is awaited
//   a part, ENDED     live                       keep: it says again how it ended
//   a part            neither                    stop; a slot is held until it has ended
//   nothing           assigned, not confirmed    reserve again under the same fence, if no other host waits
//   for it nothing           confirmed                  WORKER_LOST nothing           being ended that part
//   has ended
#pragma once

#include "coordinator/control/context.h"
#include "coordinator/control/event.h"

namespace mixln::coordinator::control {

// Sends Welcome, from whose cursors on the worker says its ranks' events, and then what follows from the
// table.
void Reconcile(Context& context, const WorkerConnected& event);

}  // namespace mixln::coordinator::control
