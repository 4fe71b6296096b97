// How much memory a rank needs at least, before any of it is taken.
#pragma once

#include <cstdint>

#include "worker/trainer/engine/engine.h"

namespace mixln::worker::trainer::engine {

struct MemoryNeed {
  int64_t state_bytes = 0;       // parameters, gradients, moments, and what passes through
  int64_t activation_bytes = 0;  // of one micro-batch
  // On the host, of a rank that writes checkpoints: the copy of masters and moments that they are written
  // from.
  int64_t copy_bytes = 0;
};

// A lower bound for one of `world_size` ranks that computes `rows` rows of `time` tokens at once: 18 bytes a
// parameter for one rank in bf16 (16 in fp32); a part of that and two layers' gradients for several that have
// memory in common (fsdp::Collectives); 16 / world_size and two layers for others; what the backward pass
// needs of each layer; and 12 bytes a parameter that the rank owns for the copy. Pure.
MemoryNeed LeastMemory(const EngineOptions& options, int64_t rows, int64_t time, int world_size,
                       bool common_memory);

}  // namespace mixln::worker::trainer::engine
