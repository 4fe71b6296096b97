#include "services/access/limiter.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace mixln::services::access {

absl::Status Limiter::Admit(const std::string& name, Time now) {
  Caller& caller = callers_[name];
  if (caller.open >= options_.open_calls)
    return absl::ResourceExhaustedError(absl::StrCat(
        name, " has ", caller.open, " calls open, the most that one caller may: end some of them first"));
  if (caller.tokens < 0) {
    caller.tokens = options_.burst;
  } else {
    const double seconds = std::chrono::duration<double>(now - caller.filled).count();
    caller.tokens = std::min(options_.burst, caller.tokens + seconds * options_.calls_per_second);
  }
  caller.filled = now;
  if (caller.tokens < 1)
    return absl::ResourceExhaustedError(absl::StrCat(name, " calls more often than ",
                                                     options_.calls_per_second,
                                                     " times a second: wait a little between calls"));
  caller.tokens -= 1;
  return absl::OkStatus();
}

}  // namespace mixln::services::access
