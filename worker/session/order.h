// What the session wants done: orders to the agent and messages to the coordinator.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "mixln/v1/session.pb.h"
#include "worker/session/attempt.h"

namespace mixln::worker::session {

// Record the attempt and prepare its data; answered by Prepared or PrepareFailed.
struct Prepare {
  v1::Reserve reserve;
};
// Start all ranks of a prepared attempt; answered by RanksStarted.
struct StartRanks {
  AttemptKey key;
  std::string rendezvous;
};
// End the attempt's ranks; each is answered by RankEnded. May be repeated with a stricter mode.
struct StopRanks {
  AttemptKey key;
  StopRequest stop;
};
// Read a rank's events after `after`, at most `limit`; answered by EventsRead.
struct ReadEvents {
  AttemptKey key;
  int32_t rank = 0;
  uint64_t after = 0;
  int limit = 0;
};
// The attempt is over and the coordinator knows: give up what was prepared for it and keep nothing but its
// logs.
struct Forget {
  AttemptKey key;
};
// Delete folders below the artifacts root.
struct DeleteFolders {
  std::vector<std::string> paths;
};
// Read a piece of a log; answered by LogRead.
struct ReadLog {
  v1::LogRequest request;
};
// Make sure that the artifacts root belongs to this cluster; the daemon ends if it does not.
struct ClaimArtifacts {
  std::string cluster_id;
};
// Keep the cluster and the highest term seen, durably, before anything of that term is done.
struct KeepTerm {
  std::string cluster_id;
  uint64_t term = 0;
};
// Show or hide the trials' metric series.
struct ShowMetrics {
  bool visible = true;
};

// The attempt is fenced: its metric series are another attempt's by now.
struct DropMetrics {
  AttemptKey key;
};

using Order = std::variant<Prepare, StartRanks, StopRanks, ReadEvents, Forget, DeleteFolders, ReadLog,
                           ClaimArtifacts, KeepTerm, ShowMetrics, DropMetrics>;

// To be carried out in this order: orders first, then messages, then the closing of the stream.
struct Output {
  std::vector<Order> orders;
  std::vector<v1::WorkerMessage> messages;
  std::string close_reason;  // not empty: close the stream, and connect again after a pause
};

}  // namespace mixln::worker::session
