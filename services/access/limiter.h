// How much one caller may ask for. Not thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "absl/status/status.h"

namespace mixln::services::access {

class Limiter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct Options {
    double calls_per_second = 50;  // in the long run
    double burst = 200;            // calls at once after a pause
    int open_calls = 64;           // streams and calls that have not ended
  };

  explicit Limiter(Options options) : options_(options) {}

  // RESOURCE_EXHAUSTED, with what to do, when the caller asks for more than it may.
  absl::Status Admit(const std::string& caller, Time now);

  // A call of the caller has begun, and ended.
  void Begin(const std::string& caller) { ++callers_[caller].open; }
  void End(const std::string& caller) { --callers_[caller].open; }

 private:
  // A bucket that holds a burst and is filled at the long-run rate. There is one for each identity that a
  // certificate or a token has spoken for.
  struct Caller {
    double tokens = -1;  // below 0: full, never used
    Time filled;
    int open = 0;
  };

  const Options options_;
  std::map<std::string, Caller> callers_;
};

}  // namespace mixln::services::access
