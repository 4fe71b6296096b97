#include "crowd.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/state/trials.h"

namespace mixln::simulation {

namespace control = coordinator::control;
namespace state = coordinator::state;

namespace {

constexpr int kSweeps = 8;            // at any time
constexpr int kMostSteps = 20;        // of a trial
constexpr double kLongestTrial = 60;  // seconds: 20 steps of at most 0.9 s for each of a gang, and its start
// Seconds: a trial of the sweep itself may have to end first, then one of each other.
constexpr double kLongestWait = (kSweeps + 1) * kLongestTrial;
constexpr double kDuration = 1800;  // seconds that sweeps keep coming
constexpr double kUrgent = 600;     // seconds that some are of a higher priority

bool Waits(const v1::Trial& trial) {
  return trial.state() == v1::TRIAL_STATE_PENDING || trial.state() == v1::TRIAL_STATE_PAUSED;
}

}  // namespace

Crowd::Crowd(uint64_t seed, Mutation mutation)
    : Scenario(seed, mutation), keeps_(mutation != Mutation::kNoKeep) {
  ranks_.faults = false;
  const int workers = 1 + scheduler_.Pick(3);
  for (int i = 0; i < workers; ++i) AddWorker(/*shares_artifacts=*/true);
}

// Of one trial to five, each of one rank or of as many as there are slots.
void Crowd::Submit() {
  control::SweepSubmitted event;
  event.sweep.set_id(absl::StrCat("s", submitted_++));
  event.sweep.set_uid(event.sweep.id());
  const int cells = 1 + scheduler_.Pick(5);
  const int ranks = scheduler_.Chance(0.6) ? 1 : 1 + scheduler_.Pick(total_slots_);
  const int priority = scheduler_.seconds() < kUrgent && scheduler_.Chance(0.2) ? 1 : 0;
  for (int i = 0; i < cells; ++i) {
    v1::Cell& cell = event.cells.emplace_back();
    cell.set_index(i);
    cell.mutable_spec()->mutable_train()->set_steps(1 + scheduler_.Pick(kMostSteps));
    cell.mutable_spec()->mutable_resources()->set_device(v1::DEVICE_CPU);
    cell.mutable_spec()->mutable_resources()->set_ranks(ranks);
    cell.mutable_spec()->mutable_resources()->set_priority(priority);
  }
  trials_ += cells;
  const std::string id = event.sweep.id();
  coordinator_.Call(std::move(event), [id](const absl::Status& status) {
    if (!status.ok()) throw Violation(absl::StrCat("sweep ", id, " is refused: ", status.ToString()));
  });
}

// One worker for a while, again and again.
void Crowd::Drain() {
  if (scheduler_.seconds() > kDuration || workers_.size() < 2) return;
  const std::string& worker = AnyWorker().id();
  const double seconds = scheduler_.Between(20, 60);
  drained_ = true;
  coordinator_.Call(control::WorkerDrained{worker, /*undo=*/false, ""}, [](const absl::Status&) {});
  scheduler_.After(seconds, [this, worker] {
    coordinator_.Call(control::WorkerDrained{worker, /*undo=*/true, ""},
                      [this](const absl::Status&) { drained_ = false; });
  });
  scheduler_.After(seconds + scheduler_.Between(100, 400), [this] { Drain(); });
}

void Crowd::Look(double seconds) {
  struct Standing {
    int waiting = 0;
    int attempts = 0;
    int priority = 0;
  };
  std::map<std::string, Standing> sweeps;
  int urgent = 0;  // the highest priority of those that wait
  size_t open = 0;
  for (const auto& sweep : coordinator_.published().Sweeps()) {
    if (!sweep->has_end_time()) ++open;
  }
  for (const auto& trial : coordinator_.published().Trials("")) {
    Standing& standing = sweeps[trial->sweep_id()];
    standing.attempts += trial->attempts_size();
    standing.priority = trial->spec().resources().priority();
    if (!Waits(*trial)) continue;
    ++standing.waiting;
    urgent = std::max(urgent, standing.priority);
  }
  for (const auto& [id, standing] : sweeps) {
    Wait& wait = waits_[id];
    if (standing.waiting == 0 || standing.attempts > wait.attempts) wait.seconds = 0;
    wait.attempts = standing.attempts;
    if (standing.waiting == 0 || standing.priority < urgent || drained_) continue;
    wait.seconds += seconds;
    if (wait.seconds > kLongestWait)
      throw Violation(absl::StrCat("nobody starves: sweep ", id, " has ", standing.waiting,
                                   " trials that wait, and had none placed for ", wait.seconds, " s"));
  }
  if (scheduler_.seconds() > kDuration) return;
  for (; open < kSweeps; ++open) Submit();
}

// What comes of it when no slots are kept: a gang is in the queue only while there is room for it.
void Crowd::HoldGangsBack() {
  int free = total_slots_;
  const auto trials = coordinator_.published().Trials("");
  for (const auto& trial : trials) {
    if (!state::IsTerminal(trial->state()) && !Waits(*trial)) free -= trial->spec().resources().ranks();
  }
  for (const auto& trial : trials) {
    if (trial->spec().resources().ranks() == 1) continue;
    const bool fits = trial->spec().resources().ranks() <= free;
    if (fits && trial->state() == v1::TRIAL_STATE_PAUSED)
      coordinator_.Call(control::TrialResumed{trial->id()}, [](const absl::Status&) {});
    if (!fits && trial->state() == v1::TRIAL_STATE_PENDING)
      coordinator_.Call(control::TrialPaused{trial->id()}, [](const absl::Status&) {});
  }
  scheduler_.After(0.2, [this] { HoldGangsBack(); });
}

std::string Crowd::Open() const {
  std::string open;
  for (const auto& trial : coordinator_.published().Trials("")) {
    if (trial->state() != v1::TRIAL_STATE_SUCCEEDED)
      absl::StrAppend(&open, " ", trial->id(), " (", state::StateName(trial->state()), ": ", trial->reason(),
                      ")");
  }
  return open;
}

void Crowd::Run() {
  coordinator_.Start();
  for (const auto& worker : workers_) worker->Start();
  scheduler_.After(scheduler_.Between(100, 400), [this] { Drain(); });
  if (!keeps_) HoldGangsBack();
  double last_look = 10;  // once the workers are there, so that no gang is refused
  while (scheduler_.RunNext()) {
    const double since = scheduler_.seconds() - last_look;
    if (since < 1) continue;
    last_look += since;
    Look(since);
    if (scheduler_.seconds() > kDuration && Open().empty()) return;
    if (scheduler_.seconds() > kDuration + kSweeps * kLongestWait)
      throw Violation(absl::StrCat("nobody starves: not done are", Open()));
  }
}

}  // namespace mixln::simulation
