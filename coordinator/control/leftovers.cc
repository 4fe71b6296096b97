#include "coordinator/control/leftovers.h"

namespace mixln::coordinator::control {

void StopLeftover(Context& context, const std::string& worker_id, const v1::AttemptStatus& status) {
  if (status.phase() == v1::ATTEMPT_PHASE_ENDED) return;
  const auto worker = context.state.workers.find(worker_id);
  if (worker == context.state.workers.end()) return;
  worker->second.leftovers[state::KeyOf(status.fence())] = status;
  v1::CoordinatorMessage message;
  v1::Stop& stop = *message.mutable_stop();
  stop.set_trial_id(status.trial_id());
  *stop.mutable_fence() = status.fence();
  stop.set_mode(v1::STOP_MODE_NOW);
  stop.set_reason("the coordinator has no such live attempt");
  stop.set_fenced(true);
  Send(context, worker_id, std::move(message));
}

void ForgetLeftover(Context& context, const std::string& worker_id, const v1::Fence& fence) {
  const auto worker = context.state.workers.find(worker_id);
  if (worker == context.state.workers.end()) return;
  if (worker->second.leftovers.erase(state::KeyOf(fence)) > 0) context.place = true;
}

}  // namespace mixln::coordinator::control
