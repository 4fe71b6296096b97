#include "ledger.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/state/fence.h"
#include "coordinator/state/trials.h"
#include "scheduler.h"

namespace mixln::simulation {

namespace state = coordinator::state;

void Ledger::BeginRound() {
  for (const auto& [id, promise] : fresh_) {
    Promise& old = promised_[id];
    old.epoch = std::max(old.epoch, promise.epoch);
    old.checkpoint_step = std::max(old.checkpoint_step, promise.checkpoint_step);
  }
  fresh_.clear();
}

void Ledger::Reserved(const v1::Reserve& reserve) {
  const uint64_t epoch = reserve.fence().epoch();
  const std::string& trial = reserve.trial_id();
  const auto [owner, first] = epoch_owner_.emplace(epoch, trial);
  if (owner->second != trial)
    throw Violation(
        absl::StrCat("epochs only grow: ", epoch, " was given to ", owner->second, " and to ", trial));
  const Promise& promise = promised_[trial];
  if (epoch < promise.epoch)
    throw Violation(absl::StrCat("epochs only grow: ", trial, " had ", promise.epoch, ", now ", epoch));
  const bool anew = reserve.resume_from().empty() && ArtifactsDiffer();
  if (epoch > promise.epoch && reserve.resume_step() < promise.checkpoint_step && !anew)
    throw Violation(absl::StrCat("nothing acknowledged is lost: ", trial, " resumes from step ",
                                 reserve.resume_step(), ", a checkpoint of step ", promise.checkpoint_step,
                                 " was acknowledged"));
  Promise& fresh = fresh_[trial];
  fresh.epoch = std::max(fresh.epoch, epoch);
  if (anew && epoch > seen_[trial].anew_epoch) {
    seen_[trial].anew_epoch = epoch;
    seen_[trial].checkpoint_step = promised_[trial].checkpoint_step = fresh.checkpoint_step = 0;
  }
}

bool Ledger::ArtifactsDiffer() const {
  return std::any_of(artifacts_.begin(), artifacts_.end(),
                     [&](const auto& worker) { return worker.second != artifacts_.begin()->second; });
}

void Ledger::CheckpointWritten(const std::string& worker, const std::string& path) {
  checkpoints_[path] = artifacts_.at(worker);
}

void Ledger::CheckpointDeleted(const std::string& worker, const std::string& path) {
  if (HasCheckpoint(worker, path)) checkpoints_.erase(path);
}

bool Ledger::HasCheckpoint(const std::string& worker, const std::string& path) const {
  const auto checkpoint = checkpoints_.find(path);
  return checkpoint != checkpoints_.end() && checkpoint->second == artifacts_.at(worker);
}

void Ledger::EventsAccepted(const v1::EventBatch& batch) {
  const Promise& promise = promised_[batch.trial_id()];
  if (batch.fence().epoch() < promise.epoch)
    throw Violation(absl::StrCat("one live attempt per trial: ", batch.trial_id(), " took events of epoch ",
                                 batch.fence().epoch(), " after epoch ", promise.epoch, " was placed"));
  for (const v1::RankEvent& event : batch.events()) {
    if (!event.has_checkpoint_done()) continue;
    Promise& fresh = fresh_[batch.trial_id()];
    fresh.checkpoint_step = std::max(fresh.checkpoint_step, event.step());
  }
}

void Ledger::RankStarted(const std::string& worker, int slot, const worker::session::AttemptKey& key) {
  const auto [holder, first] = running_.emplace(std::pair(worker, slot), key);
  if (!first)
    throw Violation(absl::StrCat("no slot twice: slot ", slot, " of ", worker, " has a rank of ",
                                 ToString(holder->second), " and is given one of ", ToString(key)));
}

void Ledger::CheckTrial(const v1::Trial& trial) {
  Seen& seen = seen_[trial.id()];
  if (trial.attempts_size() < seen.attempts)
    throw Violation(absl::StrCat("nothing acknowledged is lost: ", trial.id(), " had ", seen.attempts,
                                 " attempts, now ", trial.attempts_size()));
  seen.attempts = trial.attempts_size();
  uint64_t epoch = 0;
  for (int i = 0; i < trial.attempts_size(); ++i) {
    const v1::Attempt& attempt = trial.attempts(i);
    if (!attempt.has_end_time() && (i + 1 < trial.attempts_size() || state::IsTerminal(trial.state())))
      throw Violation(
          absl::StrCat("one live attempt per trial: attempt ", i, " of ", trial.id(), " never ended"));
    if (attempt.fence().epoch() <= epoch)
      throw Violation(
          absl::StrCat("epochs only grow: ", trial.id(), " has ", attempt.fence().epoch(), " after ", epoch));
    epoch = attempt.fence().epoch();
  }
  if (seen.terminal != v1::TRIAL_STATE_UNSPECIFIED && trial.state() != seen.terminal)
    throw Violation(absl::StrCat("a terminal state never changes: ", trial.id(), " was ",
                                 state::StateName(seen.terminal), ", is ", state::StateName(trial.state())));
  if (state::IsTerminal(trial.state())) seen.terminal = trial.state();
  int64_t step = 0;
  for (const v1::Checkpoint& checkpoint : trial.checkpoints()) {
    if (checkpoint.fence().epoch() >= seen.anew_epoch) step = std::max(step, checkpoint.step());
  }
  const int64_t promised = std::max(seen.checkpoint_step, promised_[trial.id()].checkpoint_step);
  if (step < promised)
    throw Violation(absl::StrCat("nothing acknowledged is lost: ", trial.id(), " had a checkpoint of step ",
                                 promised, ", its newest is now of step ", step));
  seen.checkpoint_step = step;
  if (trial.checkpoints_size() > 0 && !checkpoints_.contains(trial.checkpoints().rbegin()->path()))
    throw Violation(absl::StrCat("the newest checkpoint of ", trial.id(),
                                 " was deleted: ", trial.checkpoints().rbegin()->path()));
}

void Ledger::Check(const services::coordinatord::Published& published) {
  std::map<std::string, int> trials;  // without those that try another again
  std::map<std::string, int> pruned;
  for (const auto& trial : published.Trials("")) {
    CheckTrial(*trial);
    if (!trial->retry_of().empty()) continue;
    ++trials[trial->sweep_id()];
    if (trial->state() == v1::TRIAL_STATE_PRUNED) ++pruned[trial->sweep_id()];
  }
  for (const auto& [sweep, count] : pruned) {
    if (count == trials[sweep])
      throw Violation(
          absl::StrCat("the best trial of a search goes on: all of sweep ", sweep, " were pruned"));
  }
  for (const auto& [sweep, count] : sweeps_) {
    if (trials[sweep] != count)
      throw Violation(absl::StrCat("nothing acknowledged is lost: sweep ", sweep, " had ", count,
                                   " trials, now ", trials[sweep]));
  }
}

}  // namespace mixln::simulation
