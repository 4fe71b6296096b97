#include "ranks.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/random/splitmix.h"
#include "coordinator/state/fence.h"

namespace mixln::simulation {

namespace {

constexpr int kCheckpointEvery = 5;
constexpr double kHangLimit = 30;  // seconds that a rank may be silent
constexpr double kPatience = 60;   // seconds that a rank waits for its peers
constexpr double kStopGrace = 30;  // seconds that a rank has to end when it is told to

// The loss of a trial at a step: the same in each attempt, and different between trials.
double LossOf(const std::string& trial_id, int64_t step) {
  return (10.0 + base::UnitInterval(base::SplitMix64(0, trial_id))) / static_cast<double>(step);
}

}  // namespace

Rank* Ranks::Find(const AttemptKey& key, int rank) {
  const auto found = ranks_.find({key, rank});
  return found == ranks_.end() ? nullptr : &found->second;
}

v1::RankEvent& Ranks::Append(Rank& rank) {
  v1::RankEvent& event = rank.events.emplace_back();
  event.set_sequence(rank.events.size());
  event.set_step(rank.step);
  return event;
}

void Ranks::Start(const v1::Reserve& reserve, const v1::RankPlacement& placement,
                  std::function<void()> on_end) {
  const Id id{worker::session::KeyOf(reserve), placement.rank()};
  if (!reserve.resume_from().empty() &&
      !ledger_.artifacts().Has(placement.worker_id(), reserve.resume_from()))
    throw Violation(absl::StrCat("nothing acknowledged is lost: ", ToString(id.first), " resumes from ",
                                 reserve.resume_from(), ", which ", placement.worker_id(), " does not see"));
  ledger_.RankStarted(placement.worker_id(), placement.slot(), id.first);
  Rank& rank = ranks_[id];
  rank = {.host = placement.worker_id(),
          .slot = placement.slot(),
          .step = reserve.resume_step(),
          .events = {},
          .end = {},
          .hangs_since = {},
          .on_end = std::move(on_end)};
  Append(rank).mutable_started()->set_resume_step(reserve.resume_step());
  reserves_[id] = reserve;
  if (ledger_.artifacts().IsDamaged(reserve.resume_from())) return FindDamaged(id, reserve);
  Train(id, reserve, 0);
}

void Ranks::FindDamaged(const Id& id, const v1::Reserve& reserve) {
  scheduler_.After(scheduler_.Between(0.1, 1), [this, id, path = reserve.resume_from()] {
    Rank* rank = Find(id.first, id.second);
    if (rank == nullptr || rank->end) return;
    Append(*rank).mutable_checkpoint_bad()->set_path(absl::StrCat("/artifacts/", path));
    End(id, {v1::ATTEMPT_OUTCOME_FAILED, v1::FAILURE_CAUSE_IO, "the checkpoint is damaged"});
  });
}

void Ranks::Train(const Id& id, const v1::Reserve& reserve, double waited) {
  const double pause = scheduler_.Between(0.3, 0.9);
  scheduler_.After(pause, [this, id, reserve, waited, pause] {
    Rank* rank = Find(id.first, id.second);
    if (rank == nullptr || rank->end) return;
    if (held_until_[rank->host] > scheduler_.seconds()) return Train(id, reserve, waited);
    bool together = true;
    for (int i = 0; i < reserve.world_size(); ++i) {
      if (finished_.contains({id.first, i})) continue;
      const Rank* peer = Find(id.first, i);
      if ((peer != nullptr && peer->end) || waited > kPatience)
        return End(id, {v1::ATTEMPT_OUTCOME_FAILED, v1::FAILURE_CAUSE_PEER_LOST, "a peer is gone"});
      together = together && peer != nullptr && peer->step >= rank->step;
    }
    if (!together) return Train(id, reserve, waited + pause);
    Updated(id, reserve);
  });
}

void Ranks::Updated(const Id& id, const v1::Reserve& reserve) {
  Rank& rank = ranks_.at(id);
  ++rank.step;
  const double loss = LossOf(reserve.trial_id(), rank.step);
  Append(rank).mutable_step_done()->set_loss(loss);
  if (rank.step % kEvaluateEvery == 0) Append(rank).mutable_eval_done()->set_loss(loss);
  if (rank.step % kCheckpointEvery == 0) Checkpoint(id, reserve);
  if (faults && scheduler_.Chance(0.003))
    return End(id, {v1::ATTEMPT_OUTCOME_FAILED, v1::FAILURE_CAUSE_TRAINER_CRASH, "signal 11"});
  if (faults && scheduler_.Chance(0.0002))
    return End(id, {v1::ATTEMPT_OUTCOME_DIVERGED, v1::FAILURE_CAUSE_DIVERGED, "loss is nan"});
  if (faults && scheduler_.Chance(0.002)) {
    rank.hangs_since = scheduler_.seconds();
    return;
  }
  if (rank.step < reserve.spec().train().steps()) return Train(id, reserve, 0);
  Append(rank).mutable_finished()->set_train_seconds(1);
  End(id, {v1::ATTEMPT_OUTCOME_FINISHED, v1::FAILURE_CAUSE_UNSPECIFIED, ""});
}

void Ranks::Checkpoint(const Id& id, const v1::Reserve& reserve) {
  Rank& rank = ranks_.at(id);
  if (id.second != 0) return;
  const std::string path = absl::StrCat("checkpoints/step-", rank.step);
  ledger_.artifacts().Write(
      rank.host,
      absl::StrCat(reserve.trial_dir(), "/", coordinator::state::FenceName(reserve.fence()), "/", path),
      /*damaged=*/faults && scheduler_.Chance(0.05));
  Append(rank).mutable_checkpoint_done()->set_path(path);
}

void Ranks::End(const Id& id, RankEnd end) {
  Rank& rank = ranks_.at(id);
  if (rank.end) return;
  rank.end = std::move(end);
  if (rank.end->outcome == v1::ATTEMPT_OUTCOME_FINISHED) finished_.insert(id);
  ledger_.RankEnded(rank.host, rank.slot, id.first, id.second, rank.events.size());
  reserves_.erase(id);
  scheduler_.After(scheduler_.Between(0, 0.5), rank.on_end);
}

void Ranks::Stop(const AttemptKey& key, int rank, v1::StopMode mode) {
  const bool checkpoint = mode == v1::STOP_MODE_CHECKPOINT;
  scheduler_.After(scheduler_.Between(0.1, checkpoint ? 10 : 2), [this, id = Id{key, rank}, checkpoint] {
    const Rank* stopped = Find(id.first, id.second);
    if (stopped == nullptr || stopped->end) return;
    if (stopped->hangs_since || held_until_[stopped->host] > scheduler_.seconds()) {
      scheduler_.After(scheduler_.Between(0, kStopGrace),
                       [this, id] { Kill(id.first, id.second, v1::FAILURE_CAUSE_TRAINER_CRASH); });
      return;
    }
    if (checkpoint && stopped->step > 0) Checkpoint(id, reserves_.at(id));
    End(id, {v1::ATTEMPT_OUTCOME_STOPPED, v1::FAILURE_CAUSE_UNSPECIFIED, ""});
  });
}

void Ranks::Kill(const AttemptKey& key, int rank, v1::FailureCause cause) {
  if (Find(key, rank) != nullptr) End({key, rank}, {v1::ATTEMPT_OUTCOME_FAILED, cause, "killed"});
}

void Ranks::KillHost(const std::string& host) {
  for (const auto& [id, rank] : ranks_)
    if (rank.host == host) Kill(id.first, id.second, v1::FAILURE_CAUSE_TRAINER_CRASH);
}

void Ranks::KillHung(const std::string& host) {
  for (const auto& [id, rank] : ranks_) {
    if (rank.host == host && rank.hangs_since && scheduler_.seconds() - *rank.hangs_since > kHangLimit)
      Kill(id.first, id.second, v1::FAILURE_CAUSE_HANG);
  }
}

void Ranks::Hold(const std::string& host, double seconds) {
  double& until = held_until_[host];
  until = std::max(until, scheduler_.seconds() + seconds);
}

void Ranks::KillAny(v1::FailureCause cause) {
  if (reserves_.empty()) return;
  const auto victim = std::next(reserves_.begin(), scheduler_.Pick(static_cast<int>(reserves_.size())));
  const Id id = victim->first;
  Kill(id.first, id.second, cause);
}

}  // namespace mixln::simulation
