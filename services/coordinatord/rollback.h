// Takes back what a batch did to the state when its commit failed because the disk is full, so that streams
// and leases live on. All that the core keeps beside the rows is small and copied beforehand; the rows of
// sweeps and trials come back from what is published, which is what was last committed.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "coordinator/control/decision.h"
#include "coordinator/state/state.h"
#include "services/coordinatord/published.h"

namespace mixln::services::coordinatord {

class Rollback {
 public:
  // Remembers the state as it is; to be made when all of it is committed.
  explicit Rollback(const coordinator::state::State& state);

  // Makes the state what it was; `changes` names the rows that differ since.
  void Undo(const coordinator::control::Changes& changes, const Published& published,
            coordinator::state::State& state) const;

 private:
  uint64_t last_epoch_;
  int64_t revision_;
  std::map<std::string, coordinator::state::WorkerRecord> workers_;
  std::map<std::string, coordinator::state::LiveAttempt> live_;
  std::map<std::string, base::Time> not_before_;
  std::map<std::string, base::Time> checkpoint_until_;
};

}  // namespace mixln::services::coordinatord
