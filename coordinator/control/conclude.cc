#include "coordinator/control/conclude.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/backoff/backoff.h"
#include "base/random/splitmix.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {
namespace {

enum class Remedy { kNone, kRetryAtOnce, kRetryLater };

Remedy RemedyFor(v1::FailureCause cause) {
  switch (cause) {
    case v1::FAILURE_CAUSE_WORKER_LOST:
    case v1::FAILURE_CAUSE_PREEMPTED: return Remedy::kRetryAtOnce;
    case v1::FAILURE_CAUSE_TRAINER_CRASH:
    case v1::FAILURE_CAUSE_HANG:
    case v1::FAILURE_CAUSE_PEER_LOST:
    case v1::FAILURE_CAUSE_IO:
    case v1::FAILURE_CAUSE_START_TIMEOUT: return Remedy::kRetryLater;
    default: return Remedy::kNone;
  }
}

// "out of memory: 3.2 GB wanted".
std::string Explain(const v1::Attempt& attempt) {
  std::string text = state::CauseName(attempt.cause());
  if (!attempt.message().empty()) absl::StrAppend(&text, ": ", attempt.message());
  return text;
}

bool MadeProgress(const v1::Trial& trial, const v1::Attempt& attempt) {
  return std::any_of(trial.checkpoints().begin(), trial.checkpoints().end(),
                     [&](const v1::Checkpoint& checkpoint) {
                       return state::SameFence(checkpoint.fence(), attempt.fence()) &&
                              checkpoint.step() > attempt.resume_step();
                     });
}

// Preempted by the drain or shutdown of one of its workers, which says nothing against the trial.
bool HandedBack(const state::State& state, const v1::Attempt& attempt) {
  if (attempt.cause() != v1::FAILURE_CAUSE_PREEMPTED) return false;
  const std::vector<std::string> workers = state::WorkersOf(attempt);
  return std::any_of(workers.begin(), workers.end(), [&](const std::string& id) {
    const auto worker = state.workers.find(id);
    return worker != state.workers.end() &&
           (worker->second.worker.drained() || worker->second.worker.state() == v1::WORKER_STATE_DRAINING);
  });
}

// "goes on from step 5: the checkpoint of step 10 is damaged".
std::string ExplainFallBack(const v1::Trial& trial, const v1::Attempt& attempt) {
  const v1::Checkpoint* checkpoint = state::ResumePoint(trial);
  return absl::StrCat(
      checkpoint == nullptr ? "starts anew" : absl::StrCat("goes on from step ", checkpoint->step()),
      ": the checkpoint of step ", attempt.resume_step(), " is damaged");
}

void Retry(Context& context, v1::Trial& trial, const v1::Attempt& attempt, Remedy remedy) {
  const bool counted =
      remedy == Remedy::kRetryLater || (!HandedBack(context.state, attempt) && !MadeProgress(trial, attempt));
  const int max = trial.spec().retry().max_retries();
  if (counted && trial.retries() >= max) {
    MoveTrial(context, trial, v1::TRIAL_STATE_FAILED,
              absl::StrCat(Explain(attempt), " (after ", max, max == 1 ? " retry" : " retries",
                           " without progress)"));
    return;
  }
  if (counted) trial.set_retries(trial.retries() + 1);
  trial.clear_not_before();
  if (remedy == Remedy::kRetryAtOnce) {
    MoveTrial(context, trial, v1::TRIAL_STATE_PENDING, absl::StrCat("tried again after ", Explain(attempt)));
    return;
  }
  // Spreads the retries of many trials, and is the same for the same epoch.
  const base::Duration wait = base::Backoff(context.options.retry_backoff, trial.retries() - 1,
                                            base::UnitInterval(base::SplitMix64(attempt.fence().epoch())));
  *trial.mutable_not_before() = state::ToTimestamp(context.now.wall + wait);
  context.state.not_before[trial.id()] = context.now.steady + wait;
  MoveTrial(context, trial, v1::TRIAL_STATE_PENDING,
            absl::StrCat("retry ", trial.retries(), " of ", max, " ",
                         absl::StrFormat("%.0f", base::ToSeconds(wait)), " s after ", Explain(attempt)));
}

}  // namespace

void ConcludeAttempt(Context& context, v1::Trial& trial) {
  v1::Attempt& attempt = *state::LiveAttemptOf(trial);
  const auto live = context.state.live.find(trial.id());
  const std::vector<std::string> workers = state::WorkersOf(attempt);
  // Parts that ended without a cause have finished, unless they were asked to stop: after a restart, that
  // they did is known from the row alone.
  const bool asked = trial.pause_requested() || trial.prune_requested();
  const bool finished = !trial.cancel_requested() &&
                        ((attempt.cause() == v1::FAILURE_CAUSE_UNSPECIFIED && !asked) ||
                         std::all_of(workers.begin(), workers.end(), [&](const std::string& worker) {
                           return live->second.finished.contains(worker);
                         }));
  if (attempt.train_seconds() == 0 && live->second.running_since) {
    attempt.set_train_seconds(base::ToSeconds(context.now.steady - *live->second.running_since));
  }
  trial.set_train_seconds(trial.train_seconds() + attempt.train_seconds());
  *attempt.mutable_end_time() = state::ToTimestamp(context.now.wall);
  trial.mutable_progress()->clear_phase();
  const bool pause = trial.pause_requested();
  const bool prune = trial.prune_requested();
  const bool resume = trial.resume_requested();
  trial.clear_pause_requested();
  trial.clear_resume_requested();
  trial.clear_prune_requested();
  context.state.live.erase(live);
  context.place = true;

  if (finished) {
    attempt.clear_cause();
    attempt.clear_message();
    MoveTrial(context, trial, v1::TRIAL_STATE_SUCCEEDED,
              absl::StrCat("finished ", trial.spec().train().steps(), " steps"));
    return;
  }
  const Remedy remedy = RemedyFor(attempt.cause());
  if (trial.cancel_requested() &&
      (attempt.cause() == v1::FAILURE_CAUSE_UNSPECIFIED || remedy != Remedy::kNone)) {
    MoveTrial(context, trial, v1::TRIAL_STATE_CANCELLED,
              absl::StrCat("cancelled at step ", trial.progress().step()));
  } else if (prune && (attempt.cause() == v1::FAILURE_CAUSE_UNSPECIFIED || remedy != Remedy::kNone)) {
    MoveTrial(context, trial, v1::TRIAL_STATE_PRUNED, std::string(trial.reason()));
  } else if (pause && (attempt.cause() == v1::FAILURE_CAUSE_UNSPECIFIED || remedy != Remedy::kNone)) {
    const v1::Checkpoint* checkpoint = state::ResumePoint(trial);
    const v1::TrialState next = resume ? v1::TRIAL_STATE_PENDING : v1::TRIAL_STATE_PAUSED;
    MoveTrial(context, trial, next,
              checkpoint == nullptr ? "paused before its first checkpoint"
                                    : absl::StrCat("paused with a checkpoint of step ", checkpoint->step()));
  } else if (attempt.cause() == v1::FAILURE_CAUSE_DIVERGED) {
    MoveTrial(context, trial, v1::TRIAL_STATE_DIVERGED, Explain(attempt));
  } else if (remedy != Remedy::kNone && state::ResumedFromBad(trial, attempt)) {
    // An older checkpoint is the cure, and no try is lost by it: each one marks another checkpoint.
    MoveTrial(context, trial, v1::TRIAL_STATE_PENDING, ExplainFallBack(trial, attempt));
  } else if (remedy == Remedy::kNone) {
    MoveTrial(context, trial, v1::TRIAL_STATE_FAILED, Explain(attempt));
  } else {
    Retry(context, trial, attempt, remedy);
  }
}

}  // namespace mixln::coordinator::control
