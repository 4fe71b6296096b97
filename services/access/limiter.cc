#include "services/access/limiter.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace mixln::services::access {

double Limiter::Filled(const Caller& caller, Time now) const {
  if (caller.tokens < 0) return options_.burst;
  const double seconds = std::chrono::duration<double>(now - caller.filled).count();
  return std::min(options_.burst, caller.tokens + seconds * options_.calls_per_second);
}

void Limiter::ForgetSilent(Time now) {
  std::erase_if(callers_, [&](const auto& entry) {
    return entry.second.open == 0 && Filled(entry.second, now) >= options_.burst;
  });
  forget_at_ = std::max(kRemembered, 2 * callers_.size());
}

absl::Status Limiter::Admit(const std::string& name, Time now) {
  if (callers_.size() >= forget_at_) ForgetSilent(now);
  Caller& caller = callers_[name];
  if (caller.open >= options_.open_calls)
    return absl::ResourceExhaustedError(absl::StrCat(
        name, " has ", caller.open, " calls open, the most that one caller may: end some of them first"));
  caller.tokens = Filled(caller, now);
  caller.filled = now;
  if (caller.tokens < 1)
    return absl::ResourceExhaustedError(absl::StrCat(name, " calls more often than ",
                                                     options_.calls_per_second,
                                                     " times a second: wait a little between calls"));
  caller.tokens -= 1;
  return absl::OkStatus();
}

}  // namespace mixln::services::access
