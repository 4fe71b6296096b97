#include "coordinator/control/timers.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "coordinator/control/attempts.h"
#include "coordinator/control/deletion.h"
#include "coordinator/control/retention.h"
#include "coordinator/control/workers.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {
namespace {

void EndWaits(Context& context) {
  const auto over = [&](const auto& entry) { return entry.second <= context.now.steady; };
  const size_t ended =
      std::erase_if(context.state.not_before, over) + std::erase_if(context.state.checkpoint_until, over);
  if (ended > 0) context.place = true;
}

// "did not start within 120 s: worker a is preparing, worker b said nothing".
std::string StartTimeoutMessage(const Context& context, const v1::Attempt& attempt,
                                const state::LiveAttempt& live) {
  std::vector<std::string> parts;
  for (const std::string& worker_id : state::WorkersOf(attempt)) {
    const auto phase = live.phases.find(worker_id);
    const v1::AttemptPhase known = phase == live.phases.end() ? v1::ATTEMPT_PHASE_UNSPECIFIED : phase->second;
    const char* words = known == v1::ATTEMPT_PHASE_PREPARING  ? " is preparing"
                        : known == v1::ATTEMPT_PHASE_RESERVED ? " is reserved"
                        : known == v1::ATTEMPT_PHASE_RUNNING  ? " is running"
                                                              : " said nothing";
    parts.push_back(absl::StrCat("worker ", worker_id, words));
  }
  return absl::StrCat("did not start within ",
                      absl::StrFormat("%.0f", base::ToSeconds(context.options.start_timeout)),
                      " s: ", absl::StrJoin(parts, ", "));
}

void CheckRuntime(Context& context, v1::Trial& trial, const state::LiveAttempt& live) {
  const int64_t limit = trial.spec().limits().max_runtime_seconds();
  if (limit == 0 || !live.running_since) return;
  const double ran = trial.train_seconds() + base::ToSeconds(context.now.steady - *live.running_since);
  if (ran < static_cast<double>(limit)) return;
  FailAttempt(context, trial, v1::FAILURE_CAUSE_MAX_RUNTIME,
              absl::StrCat("limits.max_runtime_seconds of ", limit, " s is over at step ",
                           trial.progress().step(), " of ", trial.spec().train().steps()),
              v1::STOP_MODE_CHECKPOINT);
}

void CheckAttempt(Context& context, v1::Trial& trial) {
  state::LiveAttempt& live = context.state.live.at(trial.id());
  const v1::Attempt& attempt = *state::LiveAttemptOf(trial);
  const bool late = live.deadline <= context.now.steady;
  switch (trial.state()) {
    case v1::TRIAL_STATE_STARTING:
      if (late) {
        FailAttempt(context, trial, v1::FAILURE_CAUSE_START_TIMEOUT,
                    StartTimeoutMessage(context, attempt, live), v1::STOP_MODE_NOW);
      }
      break;
    case v1::TRIAL_STATE_STOPPING:
      if (late) StopAttempt(context, trial, v1::STOP_MODE_NOW, trial.reason());
      break;
    case v1::TRIAL_STATE_RUNNING: CheckRuntime(context, trial, live); break;
    default: break;
  }
  if (live.progress_unstored &&
      context.now.steady - live.progress_stored >= context.options.progress_interval) {
    MarkTrial(context, trial);
  }
}

}  // namespace

void AllowForStandstill(Context& context, const StoodStill& event) {
  context.state.leases_hold_until = context.now.steady + context.options.reconnect_grace;
  for (auto& [trial_id, live] : context.state.live) live.deadline = live.deadline + event.gap;
  for (auto& [trial_id, until] : context.state.checkpoint_until) until = until + event.gap;
}

void RunTimers(Context& context) {
  ExpireLeases(context);
  DeleteOldArtifacts(context);
  ForgetToldDeletions(context);
  EndWaits(context);
  std::vector<std::string> live;
  live.reserve(context.state.live.size());
  for (const auto& [trial_id, attempt] : context.state.live) live.push_back(trial_id);
  for (const std::string& trial_id : live) CheckAttempt(context, context.state.trials.at(trial_id));
}

}  // namespace mixln::coordinator::control
