// What can happen to the coordinator. The shell turns every call, message and timer into one of these.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/time/time.h"
#include "mixln/v1/session.pb.h"
#include "mixln/v1/sweep.pb.h"

namespace mixln::coordinator::control {

// A validated and expanded sweep. `sweep` carries id, uid, spec, source_text, request_id and notes.
struct SweepSubmitted {
  v1::Sweep sweep;
  std::vector<v1::Cell> cells;
};
struct SweepCancelled {
  std::string sweep_id;
};
struct SweepDeleted {
  std::string sweep_id;
};
struct TrialCancelled {
  std::string trial_id;
};
struct TrialPaused {
  std::string trial_id;
};
struct SweepPaused {
  std::string sweep_id;
};
struct TrialResumed {
  std::string trial_id;
};
struct SweepResumed {
  std::string sweep_id;
};
struct TrialRetried {
  std::string trial_id;
};
// All FAILED trials of the sweep.
struct SweepRetried {
  std::string sweep_id;
};
struct WorkerDrained {
  std::string worker_id;
  bool undo = false;
  std::string reason;
};
// A worker opened stream number `session` (unique, growing) and said hello.
struct WorkerConnected {
  uint64_t session = 0;
  v1::Hello hello;
  std::vector<v1::EventAck> cursors = {};  // the last event on disk of each rank that the hello names
};
struct WorkerDisconnected {
  uint64_t session = 0;
  std::string worker_id;
};
struct HeartbeatReceived {
  uint64_t session = 0;
  std::string worker_id;
  v1::Heartbeat heartbeat;
  bool lease_only = false;  // nothing can be recorded at present: what else it says is for another one
};
struct AttemptReported {
  uint64_t session = 0;
  std::string worker_id;
  v1::AttemptReport report;
};
// Accepted (outcome OK) exactly when the fence is the trial's live attempt and no event before the batch's is
// missing; only then are its curves stored.
struct RankEventsReceived {
  uint64_t session = 0;
  std::string worker_id;
  v1::EventBatch batch;
};
// The coordinator itself did nothing for so long, half a lease or more: its machine was suspended, or its
// disk hung; or its disk was full since the last round. Nobody could be heard meanwhile, or connect.
struct StoodStill {
  base::Duration gap;
};
// Time has passed.
struct Tick {};

using Event = std::variant<SweepSubmitted, SweepCancelled, SweepDeleted, TrialCancelled, TrialPaused,
                           SweepPaused, TrialResumed, SweepResumed, TrialRetried, SweepRetried, WorkerDrained,
                           WorkerConnected, WorkerDisconnected, HeartbeatReceived, AttemptReported,
                           RankEventsReceived, StoodStill, Tick>;

}  // namespace mixln::coordinator::control
