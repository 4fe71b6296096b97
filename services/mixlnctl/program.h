// Runs other programs to their end.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mixln::services::mixlnctl {

// What posix_spawn takes as arguments; points into `words`.
std::vector<char*> Argv(std::vector<std::string>& words);

// Runs words[0], looked for in PATH where it has no slash, with the other words as arguments. What it wrote
// to both its streams, or FAILED_PRECONDITION with that when it did not exit with 0.
absl::StatusOr<std::string> RunToEnd(std::vector<std::string> words);

// As RunToEnd, but what it writes goes to this process's standard error as it comes. FAILED_PRECONDITION with
// the exit code when that is not 0.
absl::Status RunInView(std::vector<std::string> words);

}  // namespace mixln::services::mixlnctl
