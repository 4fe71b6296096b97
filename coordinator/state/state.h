// The coordinator's whole knowledge as plain data: what the store keeps, and what is learnt anew after a restart.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/time/time.h"
#include "mixln/v1/session.pb.h"
#include "mixln/v1/sweep.pb.h"
#include "mixln/v1/trial.pb.h"
#include "mixln/v1/worker.pb.h"

namespace mixln::coordinator::state {

// A worker. `worker` is stored; the rest is never stored, so after a restart every worker is UNKNOWN until it returns.
struct WorkerRecord {
  v1::Worker worker;
  base::Time lease_expiry;    // steady clock; after a restart: start + reconnect_grace
  uint64_t session = 0;       // number of the live stream; 0: not connected
};

// What is known of a live attempt beyond its stored v1::Attempt. Never stored.
struct LiveAttempt {
  v1::Fence fence;
  std::map<std::string, v1::AttemptPhase> phases;  // by worker id
  std::string rendezvous;                          // host:port, once rank 0's worker said it
  base::Time deadline;                             // steady clock: when starting or stopping takes too long
};

struct State {
  // Stored.
  std::string cluster_id;
  uint64_t term = 0;
  uint64_t last_epoch = 0;  // of any attempt of the cluster; only grows
  std::map<std::string, v1::Sweep> sweeps;    // by id
  std::map<std::string, v1::Trial> trials;    // by id
  std::map<std::string, WorkerRecord> workers;  // by id
  // Never stored.
  std::map<std::string, LiveAttempt> live;  // by trial id
  int64_t revision = 0;                     // counts committed decisions that changed something
};

}  // namespace mixln::coordinator::state
