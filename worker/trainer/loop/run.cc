#include "worker/trainer/loop/run.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <string>

#include "base/clock/clock.h"
#include "worker/pulse/pulse.h"
#include "worker/trainer/error/error.h"
#include "worker/trainer/loop/say.h"
#include "worker/trainer/loop/trainer.h"

namespace mixln::worker::trainer::loop {
namespace {

bool IsOutOfMemory(const std::exception& problem) {
  if (dynamic_cast<const error::OutOfMemoryError*>(&problem) != nullptr) return true;
  if (dynamic_cast<const std::bad_alloc*>(&problem) != nullptr) return true;
  if (dynamic_cast<const c10::OutOfMemoryError*>(&problem) != nullptr) return true;
  // The CPU allocator throws a plain c10::Error.
  return dynamic_cast<const c10::Error*>(&problem) != nullptr &&
         std::string_view(problem.what()).find("DefaultCPUAllocator") != std::string_view::npos;
}

// c10's errors carry a stack trace below their first line.
std::string OneSentence(const std::exception& problem) {
  const std::string text = problem.what();
  return text.substr(0, text.find('\n'));
}

}  // namespace

Ending EndingOf(const std::exception& problem) {
  if (dynamic_cast<const error::ConfigError*>(&problem) != nullptr) {
    return {error::kBadConfig, "FAILURE_CAUSE_BAD_CONFIG"};
  }
  if (dynamic_cast<const error::DataError*>(&problem) != nullptr) {
    return {error::kBadData, "FAILURE_CAUSE_DATA_ERROR"};
  }
  if (dynamic_cast<const error::InputOutputError*>(&problem) != nullptr) {
    return {error::kInputOutput, "FAILURE_CAUSE_IO"};
  }
  if (dynamic_cast<const error::PeerLostError*>(&problem) != nullptr) {
    return {error::kPeerLost, "FAILURE_CAUSE_PEER_LOST"};
  }
  if (dynamic_cast<const error::DivergedError*>(&problem) != nullptr) {
    return {error::kDiverged, "FAILURE_CAUSE_DIVERGED"};
  }
  if (IsOutOfMemory(problem)) return {error::kOutOfMemory, "FAILURE_CAUSE_OUT_OF_MEMORY"};
  return {error::kInternal, "FAILURE_CAUSE_TRAINER_CRASH"};
}

int RunTrainer(const std::string& trial_json) {
  pulse::LeaveStacksOnSignal();
  std::optional<events::EventLog> log;
  int64_t step = 0;
  try {
    if (!pulse::Open(pulse::kFile))
      throw error::InputOutputError(std::string("cannot map \"") + pulse::kFile +
                                    "\": " + std::strerror(errno));
    log.emplace("events.jsonl");
    const config::TrialConfig config = config::ReadTrialConfig(trial_json);
    at::set_num_interop_threads(1);
    at::set_num_threads(config.threads);
    events::ControlSocket control("control");
    return Trainer(config, *log, control, step).Run() == Outcome::kFinished ? error::kFinished
                                                                            : error::kStopped;
  } catch (const std::exception& problem) {
    const Ending ending = EndingOf(problem);
    const std::string message = OneSentence(problem);
    Say("%s", ending.exit_code == error::kInternal ? problem.what() : message.c_str());
    try {
      const double now = static_cast<double>(base::ReadClock().wall.micros) * 1e-6;
      if (log) log->Append(now, step, events::Failed{ending.cause, message});
    } catch (const std::exception& second) {
      Say("the failure could not be recorded: %s", second.what());
    }
    return ending.exit_code;
  }
}

}  // namespace mixln::worker::trainer::loop
