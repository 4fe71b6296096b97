#include "base/clock/clock.h"

#include <time.h>

namespace mixln::base {
namespace {

Time Read(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return {static_cast<int64_t>(t.tv_sec) * 1'000'000 + t.tv_nsec / 1'000};
}

}  // namespace

Now ReadClock() {
  return {Read(CLOCK_BOOTTIME), Read(CLOCK_REALTIME)};
}

}  // namespace mixln::base
