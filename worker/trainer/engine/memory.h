// How much memory a rank needs at least, before any of it is taken.
#pragma once

#include <cstdint>

#include "worker/trainer/engine/engine.h"

namespace mixln::worker::trainer::engine {

struct MemoryNeed {
  int64_t state_bytes = 0;       // parameters, gradients, moments, and what passes through
  int64_t activation_bytes = 0;  // of one micro-batch
  int64_t total_bytes() const { return state_bytes + activation_bytes; }
};

// A lower bound for one of `world_size` ranks that computes `rows` rows of `time` tokens at once: 18 bytes a
// parameter for one rank in bf16 (16 in fp32); a part of that and two layers' gradients for several that have
// memory in common (fsdp::Collectives); 16 / world_size and two layers for others; and what the backward pass
// needs of each layer. Pure.
MemoryNeed LeastMemory(const EngineOptions& options, int64_t rows, int64_t time, int world_size,
                       bool common_memory);

}  // namespace mixln::worker::trainer::engine
