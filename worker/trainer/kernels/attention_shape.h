#pragma once

#include <cstdint>

namespace mixln::worker::trainer::kernels {

// Causal softmax attention over `batch` sequences; query head h reads key and value head h / (heads /
// kv_heads). A row of `qkv`, one of batch·time, holds the heads' queries, then the keys, then the values, of
// head_size elements each.
struct AttentionShape {
  int64_t batch = 0;
  int64_t time = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_size = 0;  // even
};

}  // namespace mixln::worker::trainer::kernels
