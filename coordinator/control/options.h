// The times that the control plane keeps, and what it says of itself.
#pragma once

#include <string>

#include "base/backoff/backoff.h"
#include "base/time/time.h"

namespace mixln::coordinator::control {

struct Options {
  // This release, such as "0.1.0": workers of another major version are refused. Empty: any is welcome.
  std::string version;
  // How often a worker is to send a heartbeat.
  base::Duration heartbeat = base::Seconds(2);
  // How long a heartbeat counts: a worker that was not heard for so long is lost.
  base::Duration lease = base::Seconds(8);
  // How long known workers have to come back after a restart of the coordinator, or after it stood still.
  base::Duration reconnect_grace = base::Seconds(30);
  // How long an attempt may take from its assignment, or from the last word of its data preparation, to
  // Start, and from there until all ranks run.
  base::Duration start_timeout = base::Seconds(120);
  // How long ranks may take to write a checkpoint and end before they are told to end at once; after that,
  // how often they are told again.
  base::Duration stop_grace = base::Seconds(60);
  // The trial's row is written for progress alone once in so long at most. See rank_events.h.
  base::Duration progress_interval = base::Seconds(2);
  // How long a failed trial waits before it is tried again: 5 s, 10 s, 20 s, …
  base::BackoffOptions retry_backoff = {
      .initial = base::Seconds(5), .max = base::Seconds(300), .multiplier = 2.0, .jitter = 0.2};
  // How long a trial waits for a worker that sees its checkpoint, where workers have artifacts folders of
  // their own; then it starts anew on another.
  base::Duration checkpoint_wait = base::Seconds(600);
  // Accepted checkpoints that are kept of each trial.
  int kept_checkpoints = 2;
};

}  // namespace mixln::coordinator::control
