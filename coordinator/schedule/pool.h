// Free slots of the workers that take new trials, and how a gang is laid onto them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "coordinator/state/state.h"

namespace mixln::coordinator::schedule {

// Number of slots of one kind.
struct KindCount {
  int total = 0;
  int free = 0;
};

class Pool {
 public:
  // The READY workers with a live session, less their taken slots.
  explicit Pool(const state::State& state);

  // The kind of slot that a trial takes: for DEVICE_AUTO GPUs where there are enough for its ranks in all,
  // busy or not, else CPUs. So a trial never starts on a CPU only because the GPUs are busy.
  v1::Device KindFor(const v1::ResourceSpec& resources) const;

  // Slots of a kind over all workers that take new trials.
  KindCount Count(v1::Device kind) const;

  // Workers that take new trials.
  int workers() const { return static_cast<int>(workers_.size()); }

  // Takes `ranks` slots of a kind: on the one worker with the fewest free slots that has enough, else on the
  // fewest workers. Empty, and nothing taken, when fewer are free.
  std::vector<v1::RankPlacement> Take(v1::Device kind, int ranks);

 private:
  struct WorkerSlots {
    std::map<v1::Device, std::vector<int>> free;  // indices, ascending
    std::map<v1::Device, int> total;
  };
  // The worker with the fewest free slots that has at least `ranks`; null when none has.
  const std::string* BestFit(v1::Device kind, int ranks) const;
  const std::string* MostFree(v1::Device kind) const;

  std::map<std::string, WorkerSlots> workers_;  // by worker id
};

}  // namespace mixln::coordinator::schedule
