#include "outage.h"

#include "absl/strings/str_cat.h"
#include "coordinator/state/trials.h"

namespace mixln::simulation {

namespace control = coordinator::control;
namespace state = coordinator::state;

namespace {

constexpr double kBegin = 15;     // seconds until the first trouble: all trials were placed
constexpr double kRest = 20;      // seconds at least from one to the next
constexpr double kLongest = 40;   // seconds of one at most
constexpr double kTrouble = 300;  // seconds until the last one begins
constexpr double kPatience = 1200;

}  // namespace

Outage::Outage(uint64_t seed) : Scenario(seed, Mutation::kNone) {
  ranks_.faults = false;
  const int workers = 1 + scheduler_.Pick(3);
  for (int i = 0; i < workers; ++i) AddWorker(/*shares_artifacts=*/true);
  slots_left_ = total_slots_;
}

// As many trials as have room at once, of one rank or more.
void Outage::Submit() {
  control::SweepSubmitted event;
  event.sweep.set_id("s");
  event.sweep.set_uid("uid");
  for (int i = 0; slots_left_ > 0; ++i) {
    v1::Cell& cell = event.cells.emplace_back();
    cell.set_index(i);
    const int ranks = 1 + scheduler_.Pick(slots_left_);
    slots_left_ -= ranks;
    cell.mutable_spec()->mutable_train()->set_steps(50 + scheduler_.Pick(300));
    cell.mutable_spec()->mutable_resources()->set_device(v1::DEVICE_CPU);
    cell.mutable_spec()->mutable_resources()->set_ranks(ranks);
  }
  trials_ = static_cast<int>(event.cells.size());
  coordinator_.Call(std::move(event), [](const absl::Status& status) {
    if (!status.ok()) throw Violation(absl::StrCat("the sweep is refused: ", status.ToString()));
  });
}

void Outage::Trouble() {
  if (scheduler_.seconds() > kTrouble) return;
  const double seconds = scheduler_.Between(0.1, kLongest);
  const auto later = [&](std::function<void()> action) { scheduler_.After(seconds, std::move(action)); };
  scheduler_.After(seconds + kRest, [this] {
    coordinator_.CrashAfter(0);
    coordinator_.Restart();
    Trouble();
  });
  switch (scheduler_.Pick(8)) {
    case 0:
      coordinator_.Crash();
      later([this] { coordinator_.Restart(); });
      break;
    case 1: coordinator_.CrashAfter(1 + scheduler_.Pick(40)); break;
    case 2:
    case 3: coordinator_.StandStill(seconds); break;
    case 4:  // a laptop is closed
      coordinator_.StandStill(seconds);
      for (const auto& worker : workers_) {
        worker->StandStill(seconds);
        ranks_.Hold(worker->id(), seconds);
      }
      break;
    case 5: coordinator_.Stall(scheduler_.Between(0.1, 12)); break;
    case 6:
      coordinator_.disk().full = true;
      coordinator_.curves().fail = true;
      later([this] {
        coordinator_.disk().full = false;
        coordinator_.curves().fail = false;
      });
      break;
    default:
      coordinator_.disk().fail = 1 + scheduler_.Pick(3);
      scheduler_.wall_offset += base::Seconds(scheduler_.Between(-7200, 7200));
      break;
  }
}

bool Outage::Look() const {
  if (!coordinator_.up()) return false;
  bool ended = true;
  for (const auto& trial : coordinator_.published().Trials("")) {
    ended = ended && state::IsTerminal(trial->state());
    if (trial->attempts_size() < 2 && trial->state() != v1::TRIAL_STATE_FAILED) continue;
    const v1::Attempt& first = trial->attempts(0);
    throw Violation(absl::StrCat("an outage of the coordinator costs no attempt: the first one of ",
                                 trial->id(), " ended by ", state::CauseName(first.cause()), ": ",
                                 first.message()));
  }
  return ended;
}

void Outage::Run() {
  coordinator_.Start();
  for (const auto& worker : workers_) worker->Start();
  scheduler_.After(kBegin / 3, [this] { Submit(); });
  scheduler_.After(kBegin, [this] { Trouble(); });
  double next_look = kBegin;
  while (scheduler_.RunNext()) {
    if (scheduler_.seconds() < next_look) continue;
    next_look = scheduler_.seconds() + 1;
    if (Look()) return;
    if (scheduler_.seconds() > kPatience)
      throw Violation(absl::StrCat("every trial ends within ", kPatience, " s"));
  }
}

}  // namespace mixln::simulation
