#include "coordinator/control/context.h"

#include <utility>

#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {

void Send(Context& context, const std::string& worker_id, v1::CoordinatorMessage message) {
  const auto worker = context.state.workers.find(worker_id);
  if (worker == context.state.workers.end() || worker->second.session == 0) return;
  context.decision.commands.push_back({worker_id, worker->second.session, std::move(message)});
}

void SendStop(Context& context, const std::string& worker_id, const std::string& trial_id,
              const v1::Fence& fence, v1::StopMode mode, const std::string& reason, bool fenced) {
  v1::CoordinatorMessage message;
  v1::Stop& stop = *message.mutable_stop();
  stop.set_trial_id(trial_id);
  *stop.mutable_fence() = fence;
  stop.set_mode(mode);
  stop.set_reason(reason);
  stop.set_fenced(fenced);
  Send(context, worker_id, std::move(message));
}

void WaitForCheckpoint(state::State& state, const v1::Trial& trial, base::Time until) {
  const v1::Checkpoint* checkpoint = state::ResumePoint(trial);
  if (checkpoint != nullptr && !checkpoint->artifacts_id().empty())
    state.checkpoint_until[trial.id()] = until;
}

void MarkTrial(Context& context, const v1::Trial& trial) {
  context.decision.changes.trials.insert(trial.id());
  const auto live = context.state.live.find(trial.id());
  if (live == context.state.live.end()) return;
  live->second.progress_unstored = false;
  live->second.progress_stored = context.now.steady;
}

void MoveTrial(Context& context, v1::Trial& trial, v1::TrialState next, const std::string& reason) {
  state::SetTrialState(context.state, trial, next, context.now.wall);
  trial.set_reason(reason);
  if (next == v1::TRIAL_STATE_PENDING) {
    WaitForCheckpoint(context.state, trial, context.now.steady + context.options.checkpoint_wait);
  } else {
    context.state.checkpoint_until.erase(trial.id());
  }
  MarkTrial(context, trial);
  context.decision.changes.sweeps.insert(trial.sweep_id());
}

LivePart FindLivePart(state::State& state, const std::string& worker_id, const std::string& trial_id,
                      const v1::Fence& fence) {
  const auto trial = state.trials.find(trial_id);
  const auto live = state.live.find(trial_id);
  if (trial == state.trials.end() || live == state.live.end()) return {};
  v1::Attempt* attempt = state::LiveAttemptOf(trial->second);
  if (attempt == nullptr || !state::SameFence(attempt->fence(), fence) || !state::RunsOn(*attempt, worker_id))
    return {};
  return {&trial->second, attempt, &live->second};
}

}  // namespace mixln::coordinator::control
