// Virtual time and chance: everything that happens in a simulation is an action in one queue, and everything
// that is left open is drawn from one seed.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/time/time.h"

namespace mixln::simulation {

// An invariant does not hold.
struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Scheduler {
 public:
  explicit Scheduler(uint64_t seed) : random_(seed) {}

  base::Now now() const { return {.steady = now_, .wall = now_ + wall_offset}; }
  double seconds() const { return static_cast<double>(now_.micros - kStart) * 1e-6; }

  // Runs the action so many seconds from now; actions of one moment run in the order of their calls.
  void After(double delay, std::function<void()> action) {
    queue_.emplace(std::pair(now_ + base::Seconds(delay), ++actions_), std::move(action));
  }
  // Runs the next action; false: there is none.
  bool RunNext() {
    if (queue_.empty()) return false;
    auto next = queue_.extract(queue_.begin());
    now_ = next.key().first;
    next.mapped()();
    return true;
  }

  double Between(double low, double high) {
    return low + (high - low) * static_cast<double>(random_() >> 11) * 0x1p-53;
  }
  bool Chance(double probability) { return Between(0, 1) < probability; }
  // 0 … n - 1.
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }

  // Prints what happens, when `traces`.
  void Trace(const std::string& what) const { std::printf("%10.3f %s\n", seconds(), what.c_str()); }
  bool traces = false;

  base::Duration wall_offset = base::Seconds(1.7e9);  // jumps with the wall clock

 private:
  static constexpr int64_t kStart = 100'000'000;
  std::mt19937_64 random_;
  base::Time now_{kStart};
  uint64_t actions_ = 0;
  std::map<std::pair<base::Time, uint64_t>, std::function<void()>> queue_;
};

}  // namespace mixln::simulation
