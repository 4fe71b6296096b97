#include "crowd.h"

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
constexpr double kDuration = 1800;    // seconds that sweeps keep coming
constexpr double kLookEvery = 1;      // seconds

}  // namespace

Crowd::Crowd(uint64_t seed) : Scenario(seed, Mutation::kNone) {
  ranks_.faults = false;
  const int workers = 1 + scheduler_.Pick(3);
  for (int i = 0; i < workers; ++i) AddWorker(/*shares_artifacts=*/true);
}

// Of one trial to five, each of one rank or of as many as there are slots.
void Crowd::Submit() {
  control::SweepSubmitted event;
  event.sweep.set_id(absl::StrCat("s", submitted_++));
  event.sweep.set_uid(event.sweep.id());
  event.sweep.set_artifact_uri(event.sweep.id());
  const int cells = 1 + scheduler_.Pick(5);
  const int ranks = scheduler_.Chance(0.6) ? 1 : 1 + scheduler_.Pick(total_slots_);
  for (int i = 0; i < cells; ++i) {
    v1::Cell& cell = event.cells.emplace_back();
    cell.set_index(i);
    cell.mutable_spec()->mutable_train()->set_steps(1 + scheduler_.Pick(kMostSteps));
    cell.mutable_spec()->mutable_resources()->set_device(v1::DEVICE_CPU);
    cell.mutable_spec()->mutable_resources()->set_ranks(ranks);
  }
  trials_ += cells;
  const std::string id = event.sweep.id();
  coordinator_.Call(std::move(event), [id](const absl::Status& status) {
    if (!status.ok()) throw Violation(absl::StrCat("sweep ", id, " is refused: ", status.ToString()));
  });
}

void Crowd::Look() {
  struct Standing {
    int waiting = 0;
    int live = 0;
  };
  std::map<std::string, Standing> sweeps;
  for (const auto& trial : coordinator_.published().Trials("")) {
    if (state::IsTerminal(trial->state())) continue;
    Standing& standing = sweeps[trial->sweep_id()];
    ++(trial->state() == v1::TRIAL_STATE_PENDING ? standing.waiting : standing.live);
  }
  for (const auto& [id, standing] : sweeps) {
    if (standing.live > 0 || standing.waiting == 0) {
      waits_since_.erase(id);
      continue;
    }
    const double since = waits_since_.emplace(id, scheduler_.seconds()).first->second;
    if (scheduler_.seconds() - since > kSweeps * kLongestTrial)
      throw Violation(absl::StrCat("nobody starves: sweep ", id, " has waited with ", standing.waiting,
                                   " trials and none under way since ", since, " s"));
  }
  if (scheduler_.seconds() > kDuration) return;
  for (size_t open = sweeps.size(); open < kSweeps; ++open) Submit();
}

void Crowd::Run() {
  coordinator_.Start();
  for (const auto& worker : workers_) worker->Start();
  double next_look = 10;  // once the workers are there, so that no gang is refused
  while (scheduler_.RunNext() && scheduler_.seconds() < kDuration + 2 * kSweeps * kLongestTrial) {
    if (scheduler_.seconds() < next_look) continue;
    next_look = scheduler_.seconds() + kLookEvery;
    Look();
  }
}

}  // namespace mixln::simulation
