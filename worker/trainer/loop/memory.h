// Refuses a trial that cannot fit, before its memory is taken.
#pragma once

#include <cstdint>

#include "worker/trainer/config/config.h"
#include "worker/trainer/engine/engine.h"

namespace mixln::worker::trainer::loop {

// Throws error::OutOfMemoryError that says how much is needed at least, of what, and how much there is.
// `common_memory`: whether several ranks have some; `available_bytes`: on the device.
void CheckMemory(const config::TrialConfig& config, const engine::EngineOptions& options, bool common_memory,
                 int64_t available_bytes);

}  // namespace mixln::worker::trainer::loop
