#include "coordinator/control/rank_events.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "coordinator/control/leftovers.h"
#include "coordinator/control/prune.h"
#include "coordinator/control/quarantine.h"
#include "coordinator/control/reserve.h"
#include "coordinator/control/retention.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {
namespace {

// Whether the path stays below the folder that it is relative to.
bool StaysBelow(const std::string& path) {
  if (path.empty() || path.front() == '/') return false;
  const std::vector<std::string> parts = absl::StrSplit(path, '/');
  return std::none_of(parts.begin(), parts.end(), [](const std::string& part) { return part == ".."; });
}

// Accepts a checkpoint unless this attempt has had one of this step or a later one accepted (the batch came
// before); has the oldest beyond kept_checkpoints deleted by the worker that reported.
void AcceptCheckpoint(Context& context, const LivePart& part, const std::string& worker_id,
                      const v1::RankEvent& event) {
  v1::Trial& trial = *part.trial;
  const v1::CheckpointDone& done = event.checkpoint_done();
  if (!StaysBelow(done.path())) return;
  int64_t newest_step = 0;
  for (const v1::Checkpoint& checkpoint : trial.checkpoints()) {
    if (!checkpoint.bad()) newest_step = std::max(newest_step, checkpoint.step());
    if (state::SameFence(checkpoint.fence(), part.attempt->fence()) && checkpoint.step() >= event.step())
      return;
  }
  v1::Checkpoint& accepted = *trial.add_checkpoints();
  accepted.set_step(event.step());
  accepted.set_path(absl::StrCat(TrialDir(context.state.sweeps.at(trial.sweep_id()), trial), "/",
                                 state::FenceName(part.attempt->fence()), "/", done.path()));
  *accepted.mutable_fence() = part.attempt->fence();
  accepted.set_size_bytes(done.size_bytes());
  accepted.set_artifacts_id(state::ArtifactsOf(context.state, *part.attempt));
  if (event.step() > newest_step) {
    trial.set_retries(0);
    ClearWorkersOf(context, *part.attempt);
  }

  DeleteSurplusCheckpoints(context, trial, worker_id);
  MarkTrial(context, trial);
}

// Any rank may find it. `path` is absolute; what the root is to a worker is not known here.
void MarkBad(Context& context, v1::Trial& trial, const std::string& path) {
  for (v1::Checkpoint& checkpoint : *trial.mutable_checkpoints()) {
    if (!absl::EndsWith(path, absl::StrCat("/", checkpoint.path()))) continue;
    checkpoint.set_bad(true);
    MarkTrial(context, trial);
  }
}

void TakeStep(Context& context, v1::Trial& trial, const v1::RankEvent& event) {
  v1::TrialProgress& progress = *trial.mutable_progress();
  const bool first = progress.step() == 0;
  progress.set_step(event.step());
  progress.set_tokens(event.step_done().tokens());
  progress.set_loss(event.step_done().loss());
  progress.set_tokens_per_second(event.step_done().tokens_per_second());
  progress.set_gradient_norm(event.step_done().gradient_norm());
  if (first || event.step() == trial.spec().train().steps()) {
    MarkTrial(context, trial);
  } else {
    MarkProgress(context, trial);
  }
}

void TakeEvaluation(Context& context, v1::Trial& trial, const v1::RankEvent& event) {
  v1::TrialProgress& progress = *trial.mutable_progress();
  progress.set_eval_loss(event.eval_done().loss());
  progress.set_perplexity(event.eval_done().perplexity());
  progress.set_bits_per_byte(event.eval_done().bits_per_byte());
  progress.set_finished(event.step() == trial.spec().train().steps());
  MarkTrial(context, trial);
  JudgeAtRung(context, trial, event.step(), event.eval_done().loss());
}

void Take(Context& context, const LivePart& part, const std::string& worker_id, const v1::RankEvent& event) {
  v1::TrialProgress& progress = *part.trial->mutable_progress();
  switch (event.event_case()) {
    case v1::RankEvent::kStarted:
      progress.set_unigram_perplexity(event.started().unigram_perplexity());
      progress.set_step(event.started().resume_step());
      progress.clear_phase();
      DropSupersededCheckpoints(context, *part.trial, *part.attempt, event.started().resume_step(),
                                worker_id);
      MarkTrial(context, *part.trial);
      break;
    case v1::RankEvent::kStepDone: TakeStep(context, *part.trial, event); break;
    case v1::RankEvent::kEvalDone: TakeEvaluation(context, *part.trial, event); break;
    case v1::RankEvent::kCheckpointDone: AcceptCheckpoint(context, part, worker_id, event); break;
    case v1::RankEvent::kFinished:
      part.attempt->set_train_seconds(event.finished().train_seconds());
      MarkTrial(context, *part.trial);
      break;
    case v1::RankEvent::kCheckpointBad: MarkBad(context, *part.trial, event.checkpoint_bad().path()); break;
    case v1::RankEvent::kFailed:  // the worker's report says it too, for all its ranks together
    case v1::RankEvent::EVENT_NOT_SET: break;
  }
}

// Whether the batch goes on from the events of its rank that are taken in, or says some of them again.
absl::Status CheckSequence(const v1::EventBatch& batch, uint64_t taken) {
  for (const v1::RankEvent& event : batch.events()) {
    if (event.sequence() > taken + 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "event ", event.sequence(), " of rank ", batch.rank(), " of trial ", batch.trial_id(),
          " came after event ", taken, ": say them in order, from the one after Welcome's cursor"));
    }
    taken = std::max(taken, event.sequence());
  }
  return absl::OkStatus();
}

}  // namespace

void MarkProgress(Context& context, const v1::Trial& trial) {
  state::LiveAttempt& live = context.state.live.at(trial.id());
  live.progress_unstored = true;
  if (context.now.steady - live.progress_stored >= context.options.progress_interval)
    MarkTrial(context, trial);
}

absl::Status OnRankEvents(Context& context, const RankEventsReceived& event) {
  const v1::EventBatch& batch = event.batch;
  const LivePart part = FindLivePart(context.state, event.worker_id, batch.trial_id(), batch.fence());
  if (!part) {
    v1::AttemptStatus status;
    status.set_trial_id(batch.trial_id());
    *status.mutable_fence() = batch.fence();
    status.set_phase(v1::ATTEMPT_PHASE_RUNNING);
    StopLeftover(context, event.worker_id, status);
    context.decision.refused = "stale_fence";
    return absl::FailedPreconditionError(absl::StrCat("attempt ", state::FenceName(batch.fence()),
                                                      " of trial ", batch.trial_id(),
                                                      " is not live on worker ", event.worker_id));
  }
  const bool has_rank = std::any_of(
      part.attempt->ranks().begin(), part.attempt->ranks().end(), [&](const v1::RankPlacement& rank) {
        return rank.rank() == batch.rank() && rank.worker_id() == event.worker_id;
      });
  if (!has_rank) {
    context.decision.refused = "wrong_rank";
    return absl::FailedPreconditionError(absl::StrCat("worker ", event.worker_id, " does not have rank ",
                                                      batch.rank(), " of trial ", batch.trial_id()));
  }
  uint64_t& taken = part.live->taken[batch.rank()];
  if (absl::Status status = CheckSequence(batch, taken); !status.ok()) {
    context.decision.close_session = true;
    context.decision.refused = "out_of_order";
    return status;
  }
  for (const v1::RankEvent& rank_event : batch.events()) {
    if (rank_event.sequence() <= taken) continue;
    taken = rank_event.sequence();
    // Of other ranks the curves are kept; a trial's numbers are those of rank 0.
    if (batch.rank() == 0 || rank_event.has_checkpoint_bad())
      Take(context, part, event.worker_id, rank_event);
  }
  return absl::OkStatus();
}

}  // namespace mixln::coordinator::control
