// The whole life of a rank's process, from trial.json to its exit code.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace mixln::worker::trainer::loop {

// How an exception ends the process.
struct Ending {
  int exit_code = 0;
  std::string_view cause;  // name of a mixln.v1.FailureCause
};
Ending EndingOf(const std::exception& problem);

// Trains what the file says, in the current folder: events.jsonl and control appear there. Returns the exit
// code of docs/rank-contract.md; every failure is said on standard error and, where it can be, in a `failed`
// event.
int RunTrainer(const std::string& trial_json);

}  // namespace mixln::worker::trainer::loop
