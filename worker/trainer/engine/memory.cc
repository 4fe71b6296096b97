#include "worker/trainer/engine/memory.h"

namespace mixln::worker::trainer::engine {

MemoryNeed LeastMemory(const EngineOptions& options, int64_t rows, int64_t time, int world_size,
                       bool common_memory) {
  const int64_t hidden = options.hidden_size;
  const int64_t inner = options.intermediate_size;
  const int64_t kv = hidden / options.heads * options.kv_heads;
  const int64_t compute = options.bf16 ? 2 : 4;
  const int64_t layer = 2 * hidden * hidden + 2 * hidden * kv + 3 * hidden * inner;
  const int64_t table = options.vocab_size * hidden;
  const int64_t parameters = options.layers * layer + (options.tie_embeddings ? 1 : 2) * table;

  MemoryNeed need;
  need.copy_bytes = 12 * parameters / world_size;
  need.state_bytes = (options.bf16 ? 18 : 16) * parameters / world_size;
  if (world_size > 1) {
    const bool gathers = !common_memory;
    if (gathers) {
      need.state_bytes = 16 * parameters / world_size + 2 * layer * compute;
      if (!options.reshard_after_forward) need.state_bytes += compute * parameters;
    }
    need.state_bytes += 4 * (options.accumulate == fsdp::Accumulate::kNoSync ? parameters : 2 * layer);
  }
  // Of a token in a layer: the stream before both sublayers in fp32; in the compute type both inputs, q k v,
  // the heads' output, gate, up and their product.
  const int64_t kept = 8 * hidden + compute * (4 * hidden + 2 * kv + 3 * inner);
  const int64_t tokens = rows * time;
  need.activation_bytes = options.activation_checkpointing ? tokens * (options.layers * 4 * hidden + kept)
                                                           : tokens * options.layers * kept;
  return need;
}

}  // namespace mixln::worker::trainer::engine
