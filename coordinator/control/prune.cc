#include "coordinator/control/prune.h"

#include <optional>
#include <vector>

#include "coordinator/control/attempts.h"
#include "coordinator/search/search.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {

void JudgeAtRung(Context& context, v1::Trial& trial, int64_t step, double eval_loss) {
  const v1::SearchSpec& search = context.state.sweeps.at(trial.sweep_id()).spec().sweep();
  if (!search::IsRung(search, trial.spec(), step)) return;
  // An attempt that resumed below the rung comes by again.
  if (!trial.rungs().empty() && trial.rungs().rbegin()->step() >= step) return;
  const auto origin = context.state.trials.find(trial.retry_of());
  if (origin != context.state.trials.end() && origin->second.state() == v1::TRIAL_STATE_PRUNED) return;
  v1::RungResult& rung = *trial.add_rungs();
  rung.set_step(step);
  rung.set_eval_loss(eval_loss);
  std::vector<const v1::Trial*> trials;
  for (const std::string& id : state::TrialsOf(context.state, trial.sweep_id()))
    trials.push_back(&context.state.trials.at(id));
  const std::optional<std::string> reason = search::Judge(search, trials, trial);
  if (!reason || trial.state() == v1::TRIAL_STATE_STOPPING) return;
  trial.set_prune_requested(true);
  StopAttempt(context, trial, v1::STOP_MODE_CHECKPOINT, *reason);
}

}  // namespace mixln::coordinator::control
