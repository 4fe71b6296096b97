// Which rank hangs, from what the pulses of an attempt's ranks say over time. Decides only: no clock, no I/O.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/time/time.h"
#include "worker/pulse/pulse.h"

namespace mixln::worker::pulse {

// For how long a rank may show no sign of life.
struct HangLimits {
  base::Duration start = base::Seconds(600);  // until its first step is done, and while it saves
  base::Duration step = base::Seconds(30);    // later: this, or 10 medians of the steps, whichever is longer
};

struct Hang {
  int32_t rank = 0;
  std::string what;  // "no sign of life for 31 s while training step 12, limit 30 s"
};

// The ranks of one attempt on one host.
class HangWatch {
 public:
  explicit HangWatch(HangLimits limits) : limits_(limits) {}

  // To be called often for each living rank.
  void See(int32_t rank, const Reading& reading, base::Time now);
  // It has ended.
  void Forget(int32_t rank) { ranks_.erase(rank); }

  // The rank that hangs: of those that have been silent past their limits the one that is furthest behind. A
  // rank that waits for others beats, so it is not to blame: the one it waits for is, here or on another
  // host.
  std::optional<Hang> Judge(base::Time now) const;

 private:
  struct Seen {
    Reading reading;
    base::Time alive_at;   // of the last change
    base::Time looked_at;  // of the last look
    base::Time step_at;    // when `reading.step` was first seen
    int64_t steps = 0;     // begun while it was watched
    std::deque<base::Duration> took;
  };
  base::Duration LimitOf(const Seen& seen) const;

  HangLimits limits_;
  std::map<int32_t, Seen> ranks_;
};

}  // namespace mixln::worker::pulse
