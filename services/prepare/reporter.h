// What mixln-prepare says while it works: JSON lines for the agent on standard output, words and, on a
// terminal, a progress bar for people on standard error.
#pragma once

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "worker/tokenize/prepare_dataset.h"
#include "worker/tokenize/progress.h"

namespace mixln::services::prepare {

class Reporter {
 public:
  // Whether standard error is a terminal.
  explicit Reporter(bool is_terminal) : is_terminal_(is_terminal) {}

  // At most four times a second, and at each new phase.
  void OnProgress(const worker::tokenize::Progress& progress);
  // The last line: what came of it. Returns the program's exit code (docs/rank-contract.md).
  int Finish(const absl::StatusOr<worker::tokenize::Prepared>& prepared);

 private:
  using Clock = std::chrono::steady_clock;
  void DrawBar(const worker::tokenize::Progress& progress, double fraction, Clock::time_point now);

  bool is_terminal_;
  bool bar_shown_ = false;
  std::string phase_;
  Clock::time_point phase_begin_;
  Clock::time_point last_said_;
};

// 0, 64 bad arguments, 65 bad data, 74 input or output.
int ExitCode(const absl::Status& status);

}  // namespace mixln::services::prepare
