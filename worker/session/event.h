// What can happen to a worker: the shell turns the stream, the agent's findings and the timer into these.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "mixln/v1/rank.pb.h"
#include "mixln/v1/session.pb.h"
#include "worker/session/attempt.h"

namespace mixln::worker::session {

// A stream to the coordinator is open.
struct Connected {};
// It is gone.
struct Disconnected {};
// The coordinator said something.
struct Received {
  v1::CoordinatorMessage message;
};
// The state folder of an earlier daemon held this attempt. Comes before the first Connected.
struct Adopted {
  v1::Reserve reserve;
  bool started = false;  // its ranks were started; each of them is alive or will be reported as RankEnded
  std::optional<StopRequest> stop;
};
// Preparing data goes on, in words for people.
struct PrepareProgress {
  AttemptKey key;
  std::string detail;
};
// The data is there; with rank 0 of several here, its socket is bound to `rendezvous`.
struct Prepared {
  AttemptKey key;
  std::string rendezvous;
};
struct PrepareFailed {
  AttemptKey key;
  v1::FailureCause cause = v1::FAILURE_CAUSE_UNSPECIFIED;
  std::string message;
};
// StartRanks is done: each rank runs, or its RankEnded says why not.
struct RanksStarted {
  AttemptKey key;
};
// A rank's process group is gone and its slot free.
struct RankEnded {
  AttemptKey key;
  int32_t rank = 0;
  RankEnd end;
  uint64_t last_sequence = 0;  // of the last whole event in its file; 0: none
};
// Answers ReadEvents; empty when there is nothing new.
struct EventsRead {
  AttemptKey key;
  int32_t rank = 0;
  std::vector<v1::RankEvent> events;  // in order, without gaps
};
// Answers ReadLog.
struct LogRead {
  v1::LogChunk chunk;
};
// The daemon is asked to hand its attempts back and end.
struct ShutDown {};
// Time has passed; expected about ten times a second.
struct Tick {};

using Event = std::variant<Connected, Disconnected, Received, Adopted, PrepareProgress, Prepared,
                           PrepareFailed, RanksStarted, RankEnded, EventsRead, LogRead, ShutDown, Tick>;

}  // namespace mixln::worker::session
