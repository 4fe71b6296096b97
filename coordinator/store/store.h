// Where the coordinator's state survives a crash. Two implementations: SqliteStore, and MemoryStore for tests
// and simulation.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/control/decision.h"
#include "coordinator/state/state.h"

namespace mixln::coordinator::store {

class Store {
 public:
  virtual ~Store() = default;

  // All that was committed: the parts of State that its header calls stored, and this run's term.
  virtual absl::StatusOr<state::State> Load() = 0;

  // Writes the rows that `changes` names as they are in `state`, all or none, and returns once they are on
  // disk. RESOURCE_EXHAUSTED: the disk is full. DATA_LOSS: the disk fails, and what is on it can no longer be
  // trusted to stay. After any error the caller must throw `state` away and Load().
  virtual absl::Status Commit(const state::State& state, const control::Changes& changes) = 0;

  // RESOURCE_EXHAUSTED, naming the disk, when it is so full that nothing new should be begun: what runs
  // already may still need the rest. A commit may fail none the less.
  virtual absl::Status CheckRoom() const = 0;
};

}  // namespace mixln::coordinator::store
