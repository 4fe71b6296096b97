#include "services/mixlnctl/since.h"

#include "absl/strings/str_cat.h"

namespace mixln::services::mixlnctl {

absl::StatusOr<absl::Time> ParseSince(const std::string& text, absl::Time now) {
  absl::Duration span;
  if (absl::ParseDuration(text, &span) && span >= absl::ZeroDuration()) return now - span;
  absl::Time time;
  std::string ignored;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &ignored)) return time;
  return absl::InvalidArgumentError(
      absl::StrCat("--since: \"", text,
                   "\" is no time: give a span such as 90s, 10m or 1h30m, or a time such as "
                   "2026-11-24T03:42:18Z"));
}

}  // namespace mixln::services::mixlnctl
