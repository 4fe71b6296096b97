// Sessions and leases of workers. Internal to control.
#pragma once

#include <string>
#include <vector>

#include "coordinator/control/context.h"
#include "coordinator/control/event.h"

namespace mixln::coordinator::control {

// A worker said hello. Accepts it with Welcome and reconciles, or refuses it and closes its stream:
//   FAILED_PRECONDITION  another major version; a term that this coordinator never reached; an older instance
//   ALREADY_EXISTS       a daemon with this id and instance is connected and alive
//   INVALID_ARGUMENT     no id
// A greater instance takes the place of the older session.
absl::Status OnConnected(Context& context, const WorkerConnected& event);

// The stream is gone; the lease runs on.
void OnDisconnected(Context& context, const WorkerDisconnected& event);

// Renews the lease, answers, and heals what was lost: attempts that should not be there are stopped, phases
// are taken over, a confirmed attempt that the worker does not have any more is WORKER_LOST. A draining
// worker gives its attempts back. ABORTED, and the stream is closed, when another session took its place.
absl::Status OnHeartbeat(Context& context, const HeartbeatReceived& event);

// OK when `session` is the worker's live one; else ABORTED, and the stream is to be closed.
absl::Status CheckSession(Context& context, const std::string& worker_id, uint64_t session);

// Workers whose lease has run out are LOST, and so are their parts of attempts; none while leases hold
// because the coordinator stood still.
void ExpireLeases(Context& context);

// Ids of the trials whose live attempt has a part on the worker that has not ended.
std::vector<std::string> TrialsOn(const state::State& state, const std::string& worker_id);

}  // namespace mixln::coordinator::control
