// What the core wants done about an event: rows to store first, messages to send after.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "mixln/v1/session.pb.h"

namespace mixln::coordinator::control {

// Rows that differ from what is stored. The store writes them in one transaction.
struct Changes {
  std::set<std::string> sweeps;  // ids to write from the state, or to delete when no longer in it
  std::set<std::string> trials;
  std::set<std::string> workers;
  bool epoch = false;  // State::last_epoch grew

  bool empty() const { return sweeps.empty() && trials.empty() && workers.empty() && !epoch; }
};

// A message for a worker's live stream; dropped when that stream is gone (reconcile repeats what matters).
struct Command {
  std::string worker_id;
  uint64_t session = 0;
  v1::CoordinatorMessage message;
};

struct Decision {
  Changes changes;
  std::vector<Command> commands;
  absl::Status outcome;  // the answer to the caller, once the changes are on disk
  // When it was bad input: the kind, in one word of mixln_refused_total (docs/metrics.md); empty: it was
  // none.
  std::string refused;
  bool close_session = false;     // end the stream that the event came from, with `outcome`
  uint64_t replaced_session = 0;  // end this older stream too: a newer one has taken its place; 0: none
};

}  // namespace mixln::coordinator::control
