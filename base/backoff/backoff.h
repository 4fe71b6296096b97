// Exponential back-off with jitter, as a pure function of the attempt number and a random draw.
#pragma once

#include <algorithm>
#include <cmath>

#include "base/time/time.h"

namespace mixln::base {

struct BackoffOptions {
  Duration initial = Seconds(0.1);
  Duration max = Seconds(2);
  double multiplier = 2.0;
  double jitter = 0.2;  // share of the delay that the draw may take off
};

// The delay before retry number `retry` (from 0). `draw` is a random number in [0, 1).
inline Duration Backoff(const BackoffOptions& options, int retry, double draw) {
  const double full =
      std::min(ToSeconds(options.max), ToSeconds(options.initial) * std::pow(options.multiplier, retry));
  return Seconds(full * (1.0 - options.jitter * draw));
}

}  // namespace mixln::base
