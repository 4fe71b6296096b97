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

}  // namespace

World::World(uint64_t seed, Mutation mutation) : Scenario(seed, mutation) {
  const int workers = 2 + scheduler_.Pick(3);
  shares_artifacts_ = scheduler_.Chance(0.7);
  for (int i = 0; i < workers; ++i) {
    Worker& worker = AddWorker(shares_artifacts_);  // whose slots are drawn before its delay
    worker.link.delay = scheduler_.Between(0.001, 0.2);
  }
  sweeps_ = 2 + scheduler_.Pick(3);
}

void World::SubmitSweep(int number) {
  control::SweepSubmitted event;
  event.sweep.set_id(absl::StrCat("s", number));
  event.sweep.set_uid(absl::StrCat("uid", number));
  event.sweep.set_request_id(absl::StrCat("request", number));
  event.sweep.set_artifact_uri(event.sweep.id());
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
      ++accepted_;
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
  Worker& worker = AnyWorker();
  const auto start_later = [this, &worker] {
    scheduler_.After(scheduler_.Between(0.1, 30), [&worker] { worker.Start(); });
  };
  switch (scheduler_.Pick(14)) {
    case 0: coordinator_.Crash(); break;
    case 1:
    case 2: coordinator_.CrashAfter(1 + scheduler_.Pick(40)); break;
    case 3:
      worker.Crash();
      start_later();
      break;
    case 4: worker.CrashAfter(1 + scheduler_.Pick(30)); break;
    case 5:
      worker.CrashHost();
      start_later();
      break;
    case 6: worker.ShutDown(); break;
    case 7: worker.Break(); break;
    case 8: Partition(worker); break;
    case 9:
      ranks_.KillAny(scheduler_.Chance(0.9) ? v1::FAILURE_CAUSE_TRAINER_CRASH
                                            : v1::FAILURE_CAUSE_OUT_OF_MEMORY);
      break;
    case 10:
      coordinator_.disk().full = true;
      scheduler_.After(scheduler_.Between(1, 20), [this] { coordinator_.disk().full = false; });
      break;
    case 11: coordinator_.disk().fail = 1 + scheduler_.Pick(3); break;
    case 12: coordinator_.Stall(scheduler_.Between(0.1, 12)); break;
    case 13: scheduler_.wall_offset += base::Seconds(scheduler_.Between(-7200, 7200)); break;
    default: break;
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

void World::UserActs() {
  const std::string sweep = absl::StrCat("s", scheduler_.Pick(sweeps_));
  const std::string trial = absl::StrCat(sweep, "-", scheduler_.Pick(5));
  const std::string& worker = AnyWorker().id();
  switch (scheduler_.Pick(8)) {
    case 0: return Ask(control::TrialCancelled{trial});
    case 1: return Ask(control::TrialPaused{trial});
    case 2: return Ask(control::SweepPaused{sweep});
    case 3: return Ask(control::TrialResumed{trial});
    case 4: return Ask(control::SweepResumed{sweep});
    case 5: return Ask(control::SweepRetried{sweep});
    case 6: return Ask(control::WorkerDrained{worker, /*undo=*/false, ""});
    default: return Ask(control::WorkerDrained{worker, /*undo=*/true, ""});
  }
}

void World::Ask(control::Event event) {
  coordinator_.Call(std::move(event), [](const absl::Status&) {});
}

void World::Heal() {
  troubled_ = false;
  ranks_.faults = false;
  coordinator_.CrashAfter(0);
  coordinator_.disk().full = false;
  coordinator_.disk().fail = 0;
  coordinator_.Restart();
  for (const auto& worker : workers_) {
    worker->link.blocked = {false, false};
    worker->CrashAfter(0);
  }
}

bool World::AllEnded() {
  if (!coordinator_.up() || accepted_ < sweeps_) return false;
  const auto trials = coordinator_.published().Trials("");
  return std::all_of(trials.begin(), trials.end(),
                     [](const auto& trial) { return state::IsTerminal(trial->state()); });
}

void World::CheckEnded() {
  for (const auto& worker : workers_) {
    worker->Start();  // one that was told to shut down ends yet; its host starts it again
    Ask(control::WorkerDrained{worker->id(), /*undo=*/true, ""});
  }
  for (int i = 0; i < sweeps_; ++i) Ask(control::SweepResumed{absl::StrCat("s", i)});
  scheduler_.After(5, [this] { CheckEnded(); });
}

void World::Run() {
  coordinator_.Start();
  for (const auto& worker : workers_) worker->Start();
  for (int i = 0; i < sweeps_; ++i) SubmitSweep(i);
  scheduler_.After(scheduler_.Between(1, 20), [this] { Trouble(); });
  const double faults_end = scheduler_.Between(60, 200);
  scheduler_.After(faults_end, [this] {
    Heal();
    CheckEnded();
  });
  double next_check = faults_end;
  while (scheduler_.RunNext()) {
    if (scheduler_.seconds() < next_check) continue;
    next_check = scheduler_.seconds() + 5;
    if (troubled_) continue;
    if (AllEnded()) return;
    if (scheduler_.seconds() < faults_end + kPatience) continue;
    std::string open;
    for (const auto& trial : coordinator_.published().Trials("")) {
      if (state::IsTerminal(trial->state())) continue;
      absl::StrAppend(&open, " ", trial->id(), " is ", state::StateName(trial->state()), " (",
                      trial->reason(), ")");
    }
    throw Violation(absl::StrCat("every trial ends once faults end: ", accepted_, " of ", sweeps_,
                                 " sweeps accepted,", open));
  }
}

}  // namespace mixln::simulation
