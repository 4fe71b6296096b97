// Free slots of the workers that take new trials, and how a gang is laid onto them.
#pragma once

#include <map>
#include <set>
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

  // Slots of a kind over all workers that take new trials, or over those of them that see an artifacts
  // folder.
  const KindCount& Count(v1::Device kind, const std::string& artifacts_id = "") const;

  // Workers that take new trials.
  int workers() const { return static_cast<int>(workers_.size()); }

  // Whether any slot is free and not kept for somebody on all workers.
  bool HasOpen() const;

  // Takes `ranks` slots of a kind: on the one worker with the fewest free slots that has enough, else on the
  // fewest workers; if an artifacts folder is given, of workers that see it. Empty, and nothing taken, when
  // fewer are free and not kept.
  std::vector<v1::RankPlacement> Take(v1::Device kind, int ranks, const std::string& artifacts_id = "");

  // Keeps all free slots of a kind, of the workers that see the artifacts folder if one is given: Take takes
  // none of them any more.
  void Keep(v1::Device kind, const std::string& artifacts_id = "");

 private:
  struct WorkerSlots {
    std::string artifacts_id;
    std::map<v1::Device, std::vector<int>> free;  // indices, ascending
    std::set<v1::Device> kept;                    // though free
  };
  using Workers = std::map<std::string, WorkerSlots>;  // by worker id
  void Add(v1::Device kind, const std::string& artifacts_id, const KindCount& slots);
  // Workers that slots may be taken of.
  std::vector<Workers::value_type*> Open(v1::Device kind, const std::string& artifacts_id);

  Workers workers_;
  std::set<v1::Device> kept_;  // of all workers
  // By artifacts folder, "" being all workers: asked for every waiting trial, so not counted anew each time.
  std::map<v1::Device, std::map<std::string, KindCount>> counts_;
};

}  // namespace mixln::coordinator::schedule
