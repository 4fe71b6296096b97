#include "coordinator/control/leftovers.h"

namespace mixln::coordinator::control {

void StopLeftover(Context& context, const std::string& worker_id, const v1::AttemptStatus& status) {
  if (status.phase() == v1::ATTEMPT_PHASE_ENDED) return;
  const auto worker = context.state.workers.find(worker_id);
  if (worker == context.state.workers.end()) return;
  worker->second.leftovers[state::KeyOf(status.fence())] = status;
  SendStop(context, worker_id, status.trial_id(), status.fence(), v1::STOP_MODE_NOW,
           "the coordinator has no such live attempt", /*fenced=*/true);
}

void ForgetLeftover(Context& context, const std::string& worker_id, const v1::Fence& fence) {
  const auto worker = context.state.workers.find(worker_id);
  if (worker == context.state.workers.end()) return;
  if (worker->second.leftovers.erase(state::KeyOf(fence)) > 0) context.place = true;
}

}  // namespace mixln::coordinator::control
