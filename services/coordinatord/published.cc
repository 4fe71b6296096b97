#include "services/coordinatord/published.h"

#include <algorithm>

#include "coordinator/state/slots.h"
#include "coordinator/state/trials.h"

namespace mixln::services::coordinatord {

namespace control = coordinator::control;
namespace state = coordinator::state;

namespace {

// Whether a reader would see a difference that no commit announces.
bool Differs(const v1::Trial& a, const v1::Trial& b) {
  return a.reason() != b.reason() || a.progress().step() != b.progress().step() ||
         a.progress().phase() != b.progress().phase();
}

}  // namespace

void Published::PutSweep(const state::State& state, const std::string& id) {
  const auto found = state.sweeps.find(id);
  if (found == state.sweeps.end()) {
    sweeps_.erase(id);
  } else {
    sweeps_[id] = {std::make_shared<const v1::Sweep>(found->second), revision_};
  }
}

void Published::PutTrial(const state::State& state, const std::string& id) {
  const auto old = trials_.find(id);
  const auto found = state.trials.find(id);
  if (found == state.trials.end()) {
    if (old == trials_.end()) return;
    const v1::Trial& trial = *old->second.row;
    auto& order = order_[trial.sweep_id()];
    order.erase({trial.index(), id});
    if (order.empty()) order_.erase(trial.sweep_id());
    trials_.erase(old);
    return;
  }
  observer_.trial(old == trials_.end() ? nullptr : old->second.row.get(), found->second);
  order_[found->second.sweep_id()].insert({found->second.index(), id});
  trials_[id] = {std::make_shared<const v1::Trial>(found->second), revision_};
}

void Published::PutWorkers(const state::State& state) {
  const auto taken = state::TakenSlotsByWorker(state);
  std::map<std::string, WorkerRow> workers;
  for (const auto& [id, record] : state.workers) {
    auto worker = std::make_shared<v1::Worker>(record.worker);
    const auto slots = taken.find(id);
    for (auto& slot : *worker->mutable_slots()) {
      slot.clear_trial_id();
      if (slots == taken.end()) continue;
      const auto trial = slots->second.trial_by_slot.find(slot.index());
      if (trial != slots->second.trial_by_slot.end()) slot.set_trial_id(trial->second);
    }
    const auto old = workers_.find(id);
    observer_.worker(old == workers_.end() ? nullptr : old->second.get(), *worker);
    workers[id] = std::move(worker);
  }
  workers_ = std::move(workers);
}

void Published::Reset(const state::State& state) {
  const std::lock_guard lock(mutex_);
  ++revision_;
  cluster_id_ = state.cluster_id;
  term_ = state.term;
  sweeps_.clear();
  trials_.clear();
  order_.clear();
  workers_.clear();
  for (const auto& [id, sweep] : state.sweeps)
    sweeps_[id] = {std::make_shared<const v1::Sweep>(sweep), revision_};
  for (const auto& [id, trial] : state.trials) {
    order_[trial.sweep_id()].insert({trial.index(), id});
    trials_[id] = {std::make_shared<const v1::Trial>(trial), revision_};
  }
  for (const auto& [id, record] : state.workers)
    workers_[id] = std::make_shared<const v1::Worker>(record.worker);
  changed_.notify_all();
}

void Published::Publish(const state::State& state, const control::Changes& changes,
                        const std::set<std::string>& trials) {
  if (changes.empty() && trials.empty()) return;
  const std::lock_guard lock(mutex_);
  ++revision_;
  for (const auto& id : changes.sweeps) PutSweep(state, id);
  for (const auto& id : changes.trials) PutTrial(state, id);
  for (const auto& id : trials) {
    if (!changes.trials.contains(id)) PutTrial(state, id);
  }
  if (!changes.workers.empty()) PutWorkers(state);
  changed_.notify_all();
}

void Published::Refresh(const state::State& state) {
  const std::lock_guard lock(mutex_);
  ++revision_;
  bool changed = false;
  for (const auto& [id, trial] : state.trials) {
    const auto old = trials_.find(id);
    if (old != trials_.end() && !Differs(*old->second.row, trial)) continue;
    PutTrial(state, id);
    changed = true;
  }
  PutWorkers(state);
  if (changed) changed_.notify_all();
}

SweepRow Published::Sweep(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = sweeps_.find(id);
  return found == sweeps_.end() ? nullptr : found->second.row;
}

TrialRow Published::Trial(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = trials_.find(id);
  return found == trials_.end() ? nullptr : found->second.row;
}

std::vector<SweepRow> Published::Sweeps() const {
  const std::lock_guard lock(mutex_);
  std::vector<SweepRow> rows;
  for (const auto& [id, sweep] : sweeps_) rows.push_back(sweep.row);
  return rows;
}

std::vector<TrialRow> Published::Trials(const std::string& sweep_id) const {
  const std::lock_guard lock(mutex_);
  std::vector<TrialRow> rows;
  for (const auto& [sweep, order] : order_) {
    if (!sweep_id.empty() && sweep != sweep_id) continue;
    for (const auto& [index, id] : order) rows.push_back(trials_.at(id).row);
  }
  return rows;
}

std::vector<WorkerRow> Published::Workers() const {
  const std::lock_guard lock(mutex_);
  std::vector<WorkerRow> rows;
  for (const auto& [id, worker] : workers_) rows.push_back(worker);
  return rows;
}

std::string Published::cluster_id() const {
  const std::lock_guard lock(mutex_);
  return cluster_id_;
}

uint64_t Published::term() const {
  const std::lock_guard lock(mutex_);
  return term_;
}

SweepChanges Published::Since(const std::string& sweep_id, int64_t revision) const {
  const std::lock_guard lock(mutex_);
  SweepChanges changes{.exists = false, .sweep = nullptr, .trials = {}, .revision = revision_, .ended = true};
  const auto sweep = sweeps_.find(sweep_id);
  if (sweep == sweeps_.end()) return changes;
  changes.exists = true;
  if (sweep->second.revision > revision) changes.sweep = sweep->second.row;
  const auto order = order_.find(sweep_id);
  if (order == order_.end()) return changes;
  for (const auto& [index, id] : order->second) {
    const auto& trial = trials_.at(id);
    if (trial.revision > revision) changes.trials.push_back(trial.row);
    changes.ended &= state::IsTerminal(trial.row->state());
  }
  return changes;
}

bool Published::Wait(int64_t revision, std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [&] { return stopped_ || revision_ > revision; });
  return !stopped_;
}

void Published::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace mixln::services::coordinatord
