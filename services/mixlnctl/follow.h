// Follows a sweep until it ends: live on a terminal, a line for each change elsewhere, or silently.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "services/mixlnctl/client.h"
#include "services/mixlnctl/io.h"
#include "services/mixlnctl/output.h"

namespace mixln::services::mixlnctl {

struct FollowOptions {
  bool silent = false;                         // `wait`: only the end is told
  OutputFormat format = OutputFormat::kTable;  // json: every change as one line of JSON
  std::string trial_id = {};                   // only until this trial has ended; empty: all
  double timeout_seconds = 0;                  // 0: none
};

// The exit code: of the end, or kUnfinished after Ctrl-C or the time-out, which leave the sweep running. A
// coordinator that goes away is waited for, and that is said. NOT_FOUND when the sweep is deleted meanwhile.
absl::StatusOr<int> Follow(Io& io, Client& client, const std::string& sweep_id, const FollowOptions& options);

}  // namespace mixln::services::mixlnctl
