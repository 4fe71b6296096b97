// Causal softmax attention on the CPU, grouped-query too (kernels/attention_shape.h). Products are blocks of
// gemm/block.h; scores and softmax are fp32 whatever the storage. The backward pass computes the
// probabilities again from the log-sum-exp; keys that no query of a block has seen are skipped.
#pragma once

#include <ATen/core/Tensor.h>

#include "worker/trainer/device/device.h"
#include "worker/trainer/kernels/attention_shape.h"

namespace mixln::worker::trainer::attention {

using Shape = kernels::AttentionShape;
using Result = device::Attended;

// `qkv` is fp32, or bf16 where gemm::HasBf16 says so.
Result Forward(const Shape& shape, const at::Tensor& qkv);

// The gradient of qkv, in its layout, for that of the output; `result` as Forward has left it.
at::Tensor Backward(const Shape& shape, const at::Tensor& qkv, const Result& result,
                    const at::Tensor& doutput);

}  // namespace mixln::worker::trainer::attention
