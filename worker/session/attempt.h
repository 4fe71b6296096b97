// An attempt as its worker sees it: plain data, and what follows from it.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "mixln/v1/session.pb.h"

namespace mixln::worker::session {

// An attempt's name: the trial and the fence.
struct AttemptKey {
  std::string trial_id;
  uint64_t term = 0;
  uint64_t epoch = 0;

  friend auto operator<=>(const AttemptKey&, const AttemptKey&) = default;
};

// The key of any message that carries a trial and a fence.
template <typename Message>
AttemptKey KeyOf(const Message& message) {
  return {message.trial_id(), message.fence().term(), message.fence().epoch()};
}

// "<trial> <term>-<epoch>", for messages to people.
std::string ToString(const AttemptKey& key);

// Who wants an attempt's ranks here to end.
enum class StopOrigin {
  kCoordinator,  // it said Stop
  kFenced,       // the coordinator no longer knows the attempt, or a newer one takes its place
  kOrphaned,     // no coordinator for orphan_grace
  kHandedBack,   // the daemon is shutting down
  kPeerEnded,    // another rank of the attempt failed or diverged; that is how the attempt ends
};

struct StopRequest {
  v1::StopMode mode = v1::STOP_MODE_CHECKPOINT;
  StopOrigin origin = StopOrigin::kCoordinator;
  std::string reason;
};

// How one rank ended.
struct RankEnd {
  v1::AttemptOutcome outcome = v1::ATTEMPT_OUTCOME_UNSPECIFIED;
  v1::FailureCause cause = v1::FAILURE_CAUSE_UNSPECIFIED;
  std::string message;  // for people; empty when it finished
  bool killed = false;  // by its agent, to stop it, and it had no word of its own: that is no failure
};

// One rank here, and how far its events are.
struct RankProgress {
  std::optional<RankEnd> end;  // set once its process group is gone
  uint64_t last_sequence = 0;  // of its last event; known once it has ended
  uint64_t sent = 0;           // last event sent on this stream
  uint64_t acknowledged = 0;   // last event on the coordinator's disk
};

// An attempt with ranks on this worker, from Reserve until the coordinator knows that they ended.
struct Attempt {
  v1::Reserve reserve;
  v1::AttemptPhase phase = v1::ATTEMPT_PHASE_PREPARING;
  std::string detail;                // PREPARING: what is being done
  bool prepared = false;             // its data is there
  std::string rendezvous;            // host:port bound for rank 0, if that is here
  std::optional<std::string> start;  // the Start's rendezvous, once it came
  bool started = false;              // ranks were ordered to start
  std::map<int32_t, RankProgress> ranks;
  std::optional<StopRequest> stop;
  std::optional<RankEnd> first_failure;  // the one that says why the attempt failed
  RankEnd end;                           // ENDED: how
  uint64_t confirming_heartbeat =
      0;  // ENDED: its answer proves that the report arrived; 0: not reported on this stream
};

// What Hello and Heartbeat say of it.
v1::AttemptStatus StatusOf(const Attempt& attempt);

// The report of where it is.
v1::AttemptReport ReportOf(const Attempt& attempt);

// Whether its ranks occupy its slots, or may come to.
bool HoldsSlots(const Attempt& attempt);

// Whether all of its ranks here have ended.
bool AllRanksEnded(const Attempt& attempt);

// Whether the coordinator has every event of its ranks.
bool AllEventsAcknowledged(const Attempt& attempt);

// How the attempt ended here, from how its ranks did and who stopped them. An attempt that the coordinator
// stopped is STOPPED even if a rank died of it; one that the worker stopped by itself is FAILED with
// PREEMPTED, so that it is placed again.
RankEnd EndOf(const Attempt& attempt);

}  // namespace mixln::worker::session
