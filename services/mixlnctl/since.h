// Reads the time of `logs --since`.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace mixln::services::mixlnctl {

// A span before `now` ("90s", "10m", "1h30m") or a time by RFC 3339 ("2026-11-24T03:42:18Z").
// INVALID_ARGUMENT for anything else, and for a span below zero.
absl::StatusOr<absl::Time> ParseSince(const std::string& text, absl::Time now);

}  // namespace mixln::services::mixlnctl
