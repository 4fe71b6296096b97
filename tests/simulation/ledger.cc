#include "ledger.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/state/fence.h"
#include "coordinator/state/trials.h"
#include "scheduler.h"

namespace mixln::simulation {

namespace state = coordinator::state;

namespace {

constexpr size_t kKeptCheckpoints = 2;  // the coordinator's default, and the least that a sweep may ask for

std::tuple<std::string, uint64_t, int> KeyOf(const v1::EventAck& ack) {
  return {ack.trial_id(), ack.fence().epoch(), ack.rank()};
}

std::string Name(const v1::EventAck& ack) {
  return absl::StrCat("rank ", ack.rank(), " of ", ack.trial_id(), " ", state::FenceName(ack.fence()));
}

}  // namespace

void Ledger::Reserved(const v1::Reserve& reserve) {
  const uint64_t epoch = reserve.fence().epoch();
  const std::string& trial = reserve.trial_id();
  const auto [given, first] = given_.emplace(epoch, Given{trial, reserve.fence().term(), {}});
  if (given->second.trial != trial || given->second.term != reserve.fence().term())
    throw Violation(absl::StrCat("epochs only grow: ", epoch, " was given to ", given->second.trial,
                                 " in term ", given->second.term, ", and to ", trial, " in term ",
                                 reserve.fence().term()));
  for (const v1::RankPlacement& rank : reserve.ranks()) {
    const std::pair place{rank.worker_id(), rank.slot()};
    const auto [placed, is_new] = given->second.ranks.emplace(rank.rank(), place);
    if (placed->second != place)
      throw Violation(absl::StrCat("an attempt stays where it was placed: rank ", rank.rank(), " of ", trial,
                                   " ", state::FenceName(reserve.fence()), " was on slot ",
                                   placed->second.second, " of ", placed->second.first,
                                   ", and is given slot ", place.second, " of ", place.first));
  }
  if (first) reserved_.push_back(reserve);
}

void Ledger::CheckReserve(const v1::Reserve& reserve) {
  Account& account = accounts_[reserve.trial_id()];
  const uint64_t epoch = reserve.fence().epoch();
  if (epoch < account.epoch)
    throw Violation(
        absl::StrCat("epochs only grow: ", reserve.trial_id(), " had ", account.epoch, ", now ", epoch));
  account.epoch = epoch;
  account.dir = reserve.trial_dir();
  const Kept* promised = ResumePoint(account);
  const bool lost = promised != nullptr && reserve.resume_step() < promised->step;
  if (lost && (!reserve.resume_from().empty() || !artifacts_.Differ()))
    throw Violation(absl::StrCat("nothing acknowledged is lost: ", reserve.trial_id(), " resumes from step ",
                                 reserve.resume_step(), ", a checkpoint of step ", promised->step,
                                 " was acknowledged"));
  if (!reserve.resume_from().empty()) return;
  account.kept.clear();  // nobody was there who sees one; once that attempt trains, none counts
  account.anew = epoch;
}

void Ledger::Keep(Account& account, Kept checkpoint) {
  auto& kept = account.kept;
  if (std::any_of(kept.begin(), kept.end(), [&](const Kept& k) { return k.path == checkpoint.path; })) return;
  kept.push_back(std::move(checkpoint));
  if (kept.size() > kKeptCheckpoints) kept.erase(kept.begin());
}

const Ledger::Kept* Ledger::ResumePoint(const Account& account) const {
  const auto whole = std::find_if(account.kept.rbegin(), account.kept.rend(),
                                  [&](const Kept& kept) { return !artifacts_.IsDamaged(kept.path); });
  return whole == account.kept.rend() ? nullptr : &*whole;
}

void Ledger::EventsAccepted(const v1::EventBatch& batch) {
  Account& account = accounts_[batch.trial_id()];
  if (batch.fence().epoch() < account.epoch)
    throw Violation(absl::StrCat("one live attempt per trial: ", batch.trial_id(), " took events of epoch ",
                                 batch.fence().epoch(), " after epoch ", account.epoch, " was placed"));
  for (const v1::RankEvent& event : batch.events()) {
    if (event.has_checkpoint_done())
      Keep(account, {absl::StrCat(account.dir, "/", state::FenceName(batch.fence()), "/",
                                  event.checkpoint_done().path()),
                     event.step()});
    if (event.has_checkpoint_bad())
      std::erase_if(account.kept, [&](const Kept& kept) {
        return absl::EndsWith(event.checkpoint_bad().path(), absl::StrCat("/", kept.path));
      });
  }
}

void Ledger::EventsStored(const v1::EventAck& stored) {
  stored_[KeyOf(stored)] = stored.sequence();
}

void Ledger::Recorded(const std::string& trial, const v1::RankEvent& event) {
  Curve& curve = curves_[trial];
  if (event.has_started()) {
    const auto step = static_cast<int64_t>(event.started().resume_step());
    if (step == 0 || curve.steps.empty()) curve.begins_after = step;
    curve.steps.erase(curve.steps.upper_bound(step), curve.steps.end());
  }
  if (event.has_step_done()) curve.steps.insert(static_cast<int64_t>(event.step()));
}

void Ledger::EventsAcknowledged(const v1::EventAck& ack) {
  uint64_t& acknowledged = acknowledged_[KeyOf(ack)];
  acknowledged = std::max<uint64_t>(acknowledged, ack.sequence());
}

void Ledger::CursorSent(const v1::EventAck& cursor) const {
  const auto acknowledged = acknowledged_.find(KeyOf(cursor));
  if (acknowledged != acknowledged_.end() && cursor.sequence() < acknowledged->second)
    throw Violation(absl::StrCat("no recorded event is lost: of ", Name(cursor), " ", acknowledged->second,
                                 " were acknowledged, ", cursor.sequence(), " are there"));
}

void Ledger::RankStarted(const std::string& worker, int slot, const worker::session::AttemptKey& key) {
  const auto [holder, first] = running_.emplace(std::pair(worker, slot), key);
  if (!first)
    throw Violation(absl::StrCat("no slot twice: slot ", slot, " of ", worker, " has a rank of ",
                                 ToString(holder->second), " and is given one of ", ToString(key)));
}

void Ledger::RankEnded(const std::string& worker, int slot, const worker::session::AttemptKey& key, int rank,
                       uint64_t events) {
  running_.erase({worker, slot});
  written_[{key.trial_id, key.epoch, rank}] = events;
}

void Ledger::CheckAttempts(const v1::Trial& trial) const {
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
}

void Ledger::CheckCheckpoints(const v1::Trial& trial, Account& account) const {
  const auto& checkpoints = trial.checkpoints();
  for (const v1::Checkpoint& checkpoint : checkpoints) {
    if (checkpoint.bad()) continue;
    if (!artifacts_.Exists(checkpoint.path()))
      throw Violation(absl::StrCat("a checkpoint that counts is not deleted: ", checkpoint.path(), " of ",
                                   trial.id(), " is gone"));
  }
  // What is shown counts as acknowledged, too.
  auto shown = checkpoints.begin();
  for (auto it = shown; it != checkpoints.end(); ++it) {
    if (!account.kept.empty() && it->path() == account.kept.back().path) shown = std::next(it);
  }
  for (; shown != checkpoints.end(); ++shown) {
    if (!shown->bad() && shown->fence().epoch() >= account.anew)
      Keep(account, {shown->path(), shown->step()});
  }
  const Kept* promised = ResumePoint(account);
  if (promised == nullptr || state::IsTerminal(trial.state())) return;  // whose own may be deleted
  if (std::none_of(checkpoints.begin(), checkpoints.end(), [&](const v1::Checkpoint& checkpoint) {
        return checkpoint.path() == promised->path && !checkpoint.bad();
      }))
    throw Violation(
        absl::StrCat("nothing acknowledged is lost: ", trial.id(), " had the checkpoint ", promised->path));
}

void Ledger::CheckEvents(const v1::Trial& trial) const {
  const v1::Attempt& attempt = *trial.attempts().rbegin();
  for (const v1::RankPlacement& rank : attempt.ranks()) {
    const RankKey key{trial.id(), attempt.fence().epoch(), rank.rank()};
    const auto written = written_.find(key);
    if (written == written_.end())
      throw Violation(absl::StrCat("one live attempt per trial: ", trial.id(), " succeeded, but rank ",
                                   rank.rank(), " of its last attempt has not ended"));
    const auto stored = stored_.find(key);
    const uint64_t there = stored == stored_.end() ? 0 : stored->second;
    if (there < written->second)
      throw Violation(absl::StrCat("no recorded event is lost: ", trial.id(), " succeeded, ", written->second,
                                   " events of rank ", rank.rank(), " were written, ", there, " are stored"));
  }
}

void Ledger::CheckCurve(const v1::Trial& trial) const {
  const auto curve = curves_.find(trial.id());
  // One that tries another again may go on from where that one was.
  int64_t step = curve == curves_.end() || trial.retry_of().empty() ? 0 : curve->second.begins_after;
  while (++step <= trial.spec().train().steps()) {
    if (curve == curves_.end() || !curve->second.steps.contains(step))
      throw Violation(absl::StrCat("a curve is whole: ", trial.id(), " succeeded, but step ", step,
                                   " is not in its curve"));
  }
}

void Ledger::CheckTrial(const v1::Trial& trial) {
  Account& account = accounts_[trial.id()];
  if (trial.attempts_size() < account.attempts)
    throw Violation(absl::StrCat("nothing acknowledged is lost: ", trial.id(), " had ", account.attempts,
                                 " attempts, now ", trial.attempts_size()));
  account.attempts = trial.attempts_size();
  CheckAttempts(trial);
  if (account.terminal != v1::TRIAL_STATE_UNSPECIFIED && trial.state() != account.terminal)
    throw Violation(absl::StrCat("a terminal state never changes: ", trial.id(), " was ",
                                 state::StateName(account.terminal), ", is ",
                                 state::StateName(trial.state())));
  CheckCheckpoints(trial, account);
  if (!state::IsTerminal(trial.state()) || account.terminal == trial.state()) return;
  account.terminal = trial.state();
  if (trial.state() != v1::TRIAL_STATE_SUCCEEDED) return;
  CheckEvents(trial);
  CheckCurve(trial);
}

void Ledger::Check(const services::coordinatord::Published& published) {
  for (const v1::Reserve& reserve : std::exchange(reserved_, {})) CheckReserve(reserve);
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
    const bool gone = trials[sweep] == 0 && requests_.MayBeGone(sweep);
    if (trials[sweep] != count && !gone)
      throw Violation(absl::StrCat("nothing acknowledged is lost: sweep ", sweep, " had ", count,
                                   " trials, now ", trials[sweep]));
  }
  requests_.Check(published);
}

}  // namespace mixln::simulation
