#pragma once

#include <cstdint>

#include "worker/trainer/kernels/bf16.h"

// Causal softmax attention, grouped-query too: query head h reads key and value head h / (heads / kv_heads).
// Computed in fp32 whatever the storage.
namespace mixln::worker::trainer::kernels {

// A row of `qkv` (one of batch·time) holds the heads' queries, then the keys, then the values, of `head_size`
// elements each. A row of the output holds the heads' results. `lse` is fp32 [batch, heads, time]: the
// log-sum-exp of a query's scaled scores, which the backward pass recomputes the probabilities from.
struct AttentionShape {
  int64_t batch = 0;
  int64_t time = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_size = 0;
};

// There are batch·kv_heads tasks, which may run side by side.
void AttentionTasks(const AttentionShape& shape, const float* qkv, float* out, float* lse, int64_t begin,
                    int64_t end);
void AttentionTasks(const AttentionShape& shape, const Bf16* qkv, Bf16* out, float* lse, int64_t begin,
                    int64_t end);

// `out` and `lse` as the forward pass left them. Writes the gradient in qkv's layout to `dqkv`.
void AttentionTasksBackward(const AttentionShape& shape, const float* qkv, const float* out, const float* lse,
                            const float* dout, float* dqkv, int64_t begin, int64_t end);
void AttentionTasksBackward(const AttentionShape& shape, const Bf16* qkv, const Bf16* out, const float* lse,
                            const Bf16* dout, Bf16* dqkv, int64_t begin, int64_t end);

}  // namespace mixln::worker::trainer::kernels
