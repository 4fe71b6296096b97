// Causal softmax attention, grouped-query too: query head h reads key and value head h / (heads / kv_heads).
// Products are blocks of gemm/block.h; scores and softmax are fp32 whatever the storage. The backward pass
// computes the probabilities again from the log-sum-exp; keys that no query of a block has seen are skipped.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace mixln::worker::trainer::attention {

struct Shape {
  int64_t batch = 0;
  int64_t time = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_size = 0;  // even
};

struct Result {
  at::Tensor output;  // [batch·time, heads·head_size]
  at::Tensor lse;     // fp32 [batch, heads, time]: the log-sum-exp of a query's scaled scores
};

// A row of `qkv`, one of batch·time, holds the heads' queries, then the keys, then the values, of head_size
// elements each: fp32, or bf16 where gemm::Supported says so.
Result Forward(const Shape& shape, const at::Tensor& qkv);

// The gradient of qkv, in its layout, for that of the output; `result` as Forward has left it.
at::Tensor Backward(const Shape& shape, const at::Tensor& qkv, const Result& result,
                    const at::Tensor& doutput);

}  // namespace mixln::worker::trainer::attention
