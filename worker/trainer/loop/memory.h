// Refuses a trial that cannot fit, before its memory is taken.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/trainer/config/config.h"
#include "worker/trainer/cpu/memory.h"
#include "worker/trainer/device/device.h"
#include "worker/trainer/engine/engine.h"
#include "worker/trainer/engine/memory.h"
#include "worker/trainer/fsdp/collectives.h"

namespace mixln::worker::trainer::loop {

// What ranks are about to take of memory that others take from, too.
struct Draw {
  cpu::Pool pool;
  engine::MemoryNeed need;
  int64_t rows = 0;  // that are computed at once
};

// What this rank takes: of all pools of its host, and of its GPU where it computes on one. `common_memory`:
// whether several ranks have some.
std::vector<Draw> DrawsOf(const config::TrialConfig& config, const engine::EngineOptions& options,
                          bool common_memory, const device::Device& device,
                          const std::vector<cpu::Pool>& host);

// What all ranks take: each gives its own, before any takes some. Throws error::PeerLostError.
std::vector<Draw> DrawsOfAll(const std::vector<Draw>& own, fsdp::Collectives& ranks);

// Throws error::OutOfMemoryError where more is taken of a pool than it has: the words say how much is needed
// at least, for what, and how much there is.
void CheckMemory(const std::vector<Draw>& draws);

}  // namespace mixln::worker::trainer::loop
