#include "services/coordinatord/trial_view.h"

namespace mixln::services::coordinatord {
namespace {

double SecondsLeft(const v1::Trial& trial) {
  const auto& progress = trial.progress();
  const int64_t left = trial.spec().train().steps() - progress.step();
  if (trial.state() != v1::TRIAL_STATE_RUNNING || left <= 0 || progress.step() <= 0 ||
      progress.tokens_per_second() <= 0)
    return 0;
  const double tokens_a_step = static_cast<double>(progress.tokens()) / static_cast<double>(progress.step());
  return static_cast<double>(left) * tokens_a_step / progress.tokens_per_second();
}

}  // namespace

v1::TrialView ViewOf(const v1::Trial& trial) {
  const auto& progress = trial.progress();
  v1::TrialView view;
  view.set_trial_id(trial.id());
  view.set_index(trial.index());
  *view.mutable_parameters() = trial.parameters();
  view.set_state(v1::TrialState_Name(trial.state()));
  view.set_reason(trial.reason().empty() ? progress.phase() : trial.reason());
  view.set_step(progress.step());
  view.set_steps(trial.spec().train().steps());
  view.set_loss(progress.loss());
  view.set_perplexity(progress.perplexity());
  view.set_tokens_per_second(progress.tokens_per_second());
  view.set_eta_seconds(SecondsLeft(trial));
  view.set_retry_of(trial.retry_of());
  if (trial.attempts_size() == 0) return view;
  for (const auto& rank : trial.attempts(trial.attempts_size() - 1).ranks()) {
    if (rank.rank() == 0) view.set_worker(rank.worker_id());
  }
  return view;
}

}  // namespace mixln::services::coordinatord
