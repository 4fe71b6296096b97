#include "world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/state/trials.h"

namespace mixln::simulation {

namespace control = coordinator::control;
namespace state = coordinator::state;

namespace {

// After the last fault: back-offs, leases and the longest queue are over long before.
constexpr double kPatience = 4 * 3600;
// After the last sweep was deleted and the last worker is back.
constexpr double kDeletePatience = 300;

}  // namespace

World::World(uint64_t seed, Mutation mutation) : Scenario(seed, mutation) {
  const int workers = 2 + scheduler_.Pick(3);
  shares_artifacts_ = scheduler_.Chance(0.7);
  for (int i = 0; i < workers; ++i) {
    Worker& worker = AddWorker(shares_artifacts_);  // whose slots are drawn before its delay
    worker.link.delay = scheduler_.Between(0.001, 0.2);
  }
  if (scheduler_.Chance(0.3)) workers_.back()->StayAway(scheduler_.Between(10, 120));  // it joins late
  sweeps_ = 2 + scheduler_.Pick(3);
}

void World::SubmitSweep(int number) {
  control::SweepSubmitted event;
  event.sweep.set_id(absl::StrCat("s", number));
  event.sweep.set_uid(absl::StrCat("uid", number));
  event.sweep.set_request_id(absl::StrCat("request", number));
  if (scheduler_.Chance(0.3))
    event.sweep.mutable_spec()->mutable_retention()->set_seconds_after_end(1 + scheduler_.Pick(100));
  if (scheduler_.Chance(0.2)) event.sweep.mutable_spec()->mutable_retention()->set_checkpoints(3);
  const int cells = 1 + scheduler_.Pick(4);
  const int priority = scheduler_.Pick(3);
  if (scheduler_.Chance(0.4)) {
    v1::SearchSpec& search = *event.sweep.mutable_spec()->mutable_sweep();
    search.set_strategy(v1::STRATEGY_ASHA);
    search.mutable_asha()->set_min_steps(kEvaluateEvery);
    search.mutable_asha()->set_reduction_factor(2);
  }
  for (int i = 0; i < cells; ++i) {
    v1::Cell& cell = event.cells.emplace_back();
    cell.set_index(i);
    v1::TrialSpec& spec = *cell.mutable_spec();
    spec.mutable_train()->set_steps(5 + scheduler_.Pick(40));
    spec.mutable_resources()->set_device(v1::DEVICE_CPU);
    // Often small, at times as large as the cluster. A gang over several artifacts folders could never
    // resume.
    const bool small = scheduler_.Chance(0.6) || !shares_artifacts_;
    spec.mutable_resources()->set_ranks(small ? 1 : 1 + scheduler_.Pick(total_slots_));
    spec.mutable_resources()->set_priority(priority);
    spec.mutable_retry()->set_max_retries(scheduler_.Chance(0.2) ? 2 : 100);
  }
  const auto answered = std::make_shared<bool>(false);
  const auto submit = std::make_shared<std::function<void()>>();
  *submit = [this, event, answered, again = std::weak_ptr(submit)] {
    const auto self = again.lock();
    if (*answered) return;
    // The same request id until somebody answers: the coordinator may have died in between.
    scheduler_.After(scheduler_.Between(1, 10), [self] { (*self)(); });
    coordinator_.Call(event, [this, event, answered](const absl::Status& status) {
      if (!status.ok() || std::exchange(*answered, true)) return;
      ledger_.SweepAccepted(event.sweep.id(), static_cast<int>(event.cells.size()));
      accepted_.insert(event.sweep.id());
      trials_ += static_cast<int>(event.cells.size());
    });
  };
  scheduler_.After(scheduler_.Between(0, 60), [submit] { (*submit)(); });
}

void World::Partition(Worker& worker) {
  const int ways = 1 + scheduler_.Pick(3);  // up, down, both
  worker.link.blocked = {(ways & 1) != 0, (ways & 2) != 0};
  worker.Starve();
  scheduler_.After(scheduler_.Between(1, 60), [&worker] { worker.link.blocked = {false, false}; });
}

void World::Trouble() {
  if (!troubled_) return;
  scheduler_.After(scheduler_.Between(0.5, 8), [this] { Trouble(); });
  if (scheduler_.Chance(0.6)) {
    TroubleOf(AnyWorker());
  } else {
    TroubleOfCoordinator();
  }
  // Whoever is down comes back some time.
  if (!coordinator_.up() && scheduler_.Chance(0.6)) coordinator_.Restart();
  if (scheduler_.Chance(0.3)) {
    scheduler_.After(scheduler_.Between(0, 10), [this] {
      for (const auto& w : workers_) w->Start();
    });
  }
  if (scheduler_.Chance(0.15)) UserActs();
}

void World::TroubleOf(Worker& worker) {
  const auto start_later = [this, &worker] {
    scheduler_.After(scheduler_.Between(0.1, 30), [&worker] { worker.Start(); });
  };
  const double seconds = scheduler_.Between(1, 40);
  switch (scheduler_.Pick(12)) {
    case 0: worker.Crash(); return start_later();
    case 1: return worker.CrashAfter(1 + scheduler_.Pick(30));
    case 2: worker.CrashHost(); return start_later();
    case 3: return worker.ShutDown();
    case 4: return worker.Break();
    case 5: return Partition(worker);
    case 6: return ranks_.KillAny(v1::FAILURE_CAUSE_TRAINER_CRASH);
    case 7:
      return ranks_.KillAny(scheduler_.Chance(0.8) ? v1::FAILURE_CAUSE_IO : v1::FAILURE_CAUSE_OUT_OF_MEMORY);
    case 8: return worker.StandStill(seconds);
    case 9:  // with its host
      worker.StandStill(seconds);
      return ranks_.Hold(worker.id(), seconds);
    case 10: return ranks_.Hold(worker.id(), 2 * seconds);  // no room for a checkpoint
    default: return worker.FillDisk(seconds);
  }
}

void World::TroubleOfCoordinator() {
  switch (scheduler_.Pick(9)) {
    case 0: return coordinator_.Crash();
    case 1:
    case 2: return coordinator_.CrashAfter(1 + scheduler_.Pick(40));
    case 3: return coordinator_.Stall(scheduler_.Between(0.1, 12));
    case 4: return coordinator_.StandStill(scheduler_.Between(1, 40));
    case 5:
      coordinator_.disk().full = true;
      scheduler_.After(scheduler_.Between(1, 20), [this] { coordinator_.disk().full = false; });
      return;
    case 6: coordinator_.disk().fail = 1 + scheduler_.Pick(3); return;
    case 7:
      coordinator_.curves().fail = true;
      scheduler_.After(scheduler_.Between(1, 20), [this] { coordinator_.curves().fail = false; });
      return;
    default: scheduler_.wall_offset += base::Seconds(scheduler_.Between(-7200, 7200)); return;
  }
}

void World::UserActs() {
  const std::string sweep = absl::StrCat("s", scheduler_.Pick(sweeps_));
  const std::string trial = absl::StrCat(sweep, "-", scheduler_.Pick(5));
  const std::string& worker = AnyWorker().id();
  switch (scheduler_.Pick(12)) {
    case 0: return Ask(control::TrialCancelled{trial});
    case 1: return Ask(control::TrialPaused{trial});
    case 2: return Ask(control::SweepPaused{sweep});
    case 3: return Ask(control::TrialResumed{trial});
    case 4: return Ask(control::SweepResumed{sweep});
    case 5: return Ask(control::SweepRetried{sweep});
    case 6: return Ask(control::TrialRetried{trial});
    case 7: return Ask(control::WorkerDrained{worker, /*undo=*/false, ""});
    case 8:  // else it may be submitted again
      if (accepted_.contains(sweep)) Ask(control::SweepDeleted{sweep});
      return;
    case 9:
      if (scheduler_.Chance(0.3)) Ask(control::SweepCancelled{sweep});
      return;
    default: return Ask(control::WorkerDrained{worker, /*undo=*/true, ""});
  }
}

void World::Ask(control::Event event) {
  auto answered = ledger_.requests().Ask(event, coordinator_.published());
  coordinator_.Call(std::move(event), std::move(answered));
}

void World::Heal() {
  troubled_ = false;
  ranks_.faults = false;
  coordinator_.CrashAfter(0);
  coordinator_.disk().full = false;
  coordinator_.disk().fail = 0;
  coordinator_.curves().fail = false;
  coordinator_.Restart();
  for (const auto& worker : workers_) {
    worker->link.blocked = {false, false};
    worker->CrashAfter(0);
  }
}

bool World::AllEnded() {
  if (!coordinator_.up() || static_cast<int>(accepted_.size()) < sweeps_) return false;
  const auto trials = coordinator_.published().Trials("");
  return std::all_of(trials.begin(), trials.end(),
                     [](const auto& trial) { return state::IsTerminal(trial->state()); });
}

void World::PutRight() {
  coordinator_.Restart();
  for (const auto& worker : workers_) {
    worker->Start();  // one that was told to shut down ends yet; its host starts it again
    Ask(control::WorkerDrained{worker->id(), /*undo=*/true, ""});
  }
  for (int i = 0; i < sweeps_; ++i) {
    const std::string sweep = absl::StrCat("s", i);
    if (deleting_) {
      Ask(control::SweepDeleted{sweep});
    } else {
      Ask(control::SweepResumed{sweep});
    }
  }
  scheduler_.After(5, [this] { PutRight(); });
}

void World::DeleteAll() {
  deleting_ = true;
  for (const auto& worker : workers_) {
    if (!scheduler_.Chance(0.3)) continue;
    worker->StayAway(scheduler_.Between(1, 40));
    worker->Crash();
  }
  if (scheduler_.Chance(0.3)) coordinator_.CrashAfter(1 + scheduler_.Pick(40));
  if (scheduler_.Chance(0.3)) AnyWorker().CrashAfter(1 + scheduler_.Pick(30));
}

std::string World::Leftovers() {
  if (!coordinator_.up()) return "the coordinator is down";
  for (const auto& sweep : coordinator_.published().Sweeps()) return sweep->id();
  for (const auto& worker : workers_) {
    if (worker->HasFolders()) return absl::StrCat("folders of ranks on ", worker->id());
  }
  return ledger_.artifacts().Any();
}

void World::GiveUp() {
  if (deleting_) throw Violation(absl::StrCat("nothing is left of deleted sweeps: ", Leftovers()));
  std::string open;
  for (const auto& trial : coordinator_.published().Trials("")) {
    if (state::IsTerminal(trial->state())) continue;
    absl::StrAppend(&open, " ", trial->id(), " is ", state::StateName(trial->state()), " (", trial->reason(),
                    ")");
  }
  throw Violation(absl::StrCat("every trial ends once faults end: ", accepted_.size(), " of ", sweeps_,
                               " sweeps accepted,", open));
}

void World::Run() {
  coordinator_.Start();
  for (const auto& worker : workers_) worker->Start();
  for (int i = 0; i < sweeps_; ++i) SubmitSweep(i);
  scheduler_.After(scheduler_.Between(1, 20), [this] { Trouble(); });
  const double faults_end = scheduler_.Between(60, 200);
  scheduler_.After(faults_end, [this] {
    Heal();
    PutRight();
  });
  double next_look = faults_end;
  double patience_ends = faults_end + kPatience;
  while (scheduler_.RunNext()) {
    if (scheduler_.seconds() < next_look) continue;
    next_look = scheduler_.seconds() + 5;
    if (troubled_) continue;
    if (deleting_ && Leftovers().empty()) return;
    if (!deleting_ && AllEnded()) {
      DeleteAll();
      patience_ends = scheduler_.seconds() + kDeletePatience;
    }
    if (scheduler_.seconds() > patience_ends) GiveUp();
  }
}

}  // namespace mixln::simulation
