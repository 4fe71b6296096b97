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

  // Silent callers are not looked for among fewer.
  static constexpr size_t kRemembered = 1000;

  // RESOURCE_EXHAUSTED, with what to do, when the caller asks for more than it may.
  absl::Status Admit(const std::string& caller, Time now);

  // A call of the caller has begun, and ended.
  void Begin(const std::string& caller) { ++callers_[caller].open; }
  void End(const std::string& caller) { --callers_[caller].open; }

  // Callers that are remembered: those that have been silent for a while are forgotten now and then, as they
  // are as good as new.
  size_t callers() const { return callers_.size(); }

 private:
  // A bucket that holds a burst and is filled at the long-run rate.
  struct Caller {
    double tokens = -1;  // below 0: full, never used
    Time filled;
    int open = 0;
  };

  // What the bucket holds by now.
  double Filled(const Caller& caller, Time now) const;
  void ForgetSilent(Time now);

  const Options options_;
  std::map<std::string, Caller> callers_;
  size_t forget_at_ = kRemembered;  // callers
};

}  // namespace mixln::services::access
