// The coordinator's whole knowledge as plain data: what the store keeps, and what is learnt anew after a
// restart.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/time/time.h"
#include "coordinator/state/fence.h"
#include "mixln/v1/session.pb.h"
#include "mixln/v1/sweep.pb.h"
#include "mixln/v1/trial.pb.h"
#include "mixln/v1/worker.pb.h"

namespace mixln::coordinator::state {

// A worker. `worker` and `deletions` are stored; the rest is never stored, so after a restart every worker is
// UNKNOWN until it returns.
struct WorkerRecord {
  v1::Worker worker;
  // Folders of deleted sweeps that it ran trials of, until it is sure to know that they are to go.
  std::set<std::string> deletions;
  base::Time lease_expiry;  // steady clock; after a restart: start + reconnect_grace
  uint64_t session = 0;     // number of the live stream; 0: not connected
  // Attempts that it has and that are not to go on: told to stop, they hold their slots until they have
  // ended.
  std::map<FenceKey, v1::AttemptStatus> leftovers;
  // Trials whose folders it was told to delete since it connected, because their time is over.
  std::set<std::string> tidied;
  base::Time deletions_told;  // steady clock: when its live stream was last sent any of `deletions`
};

// What is known of a live attempt beyond its stored v1::Attempt. Never stored.
struct LiveAttempt {
  v1::Fence fence;
  std::map<std::string, v1::AttemptPhase> phases;  // by worker id, as last said by it
  std::set<std::string> finished;                  // workers all of whose ranks exited 0
  std::map<int32_t, uint64_t> taken;               // by rank: sequence number of its last event taken in
  base::Time deadline;                             // steady clock: when starting or stopping takes too long
  std::optional<base::Time> running_since;         // steady clock: when training time began to count
  base::Time progress_stored;      // steady clock: when the trial's row was last written for progress
  bool progress_unstored = false;  // the trial's progress is newer than its row
};

struct State {
  // Stored.
  std::string cluster_id;
  uint64_t term = 0;
  uint64_t last_epoch = 0;                      // of any attempt of the cluster; only grows
  std::map<std::string, v1::Sweep> sweeps;      // by id
  std::map<std::string, v1::Trial> trials;      // by id
  std::map<std::string, WorkerRecord> workers;  // by id
  // Never stored.
  std::set<std::string> pending;            // ids of the trials that are PENDING, as their rows say
  base::Time leases_hold_until;             // steady clock: no lease runs out before; see StoodStill
  std::map<std::string, LiveAttempt> live;  // by trial id
  std::map<std::string, base::Time>
      not_before;  // steady clock: until when a trial is not tried again, by trial id
  // Steady clock: until when a PENDING trial waits for a worker that sees its checkpoint, by trial id.
  std::map<std::string, base::Time> checkpoint_until;
  bool reasons_due = false;  // slots or waiting trials have changed since those that wait were told why
  int64_t revision = 0;      // counts decisions that changed a row; Step raises it
};

}  // namespace mixln::coordinator::state
