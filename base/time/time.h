// Time as the pure core sees it: a number that is passed in, never read from a clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace mixln::base {

using Duration = std::chrono::microseconds;

// A point in time on some clock that only goes forward; comparable with others of the same clock only.
struct Time {
  int64_t micros = 0;

  friend auto operator<=>(const Time&, const Time&) = default;
  friend Time operator+(Time t, Duration d) { return {t.micros + d.count()}; }
  friend Time operator-(Time t, Duration d) { return {t.micros - d.count()}; }
  friend Duration operator-(Time a, Time b) { return Duration(a.micros - b.micros); }
};

// Both clocks read at one moment: decisions use `steady` (CLOCK_BOOTTIME), records show `wall` (since 1970).
struct Now {
  Time steady;
  Time wall;
};

inline constexpr Duration Seconds(double seconds) {
  return Duration(static_cast<int64_t>(seconds * 1e6));
}
inline constexpr double ToSeconds(Duration d) {
  return static_cast<double>(d.count()) * 1e-6;
}

}  // namespace mixln::base
