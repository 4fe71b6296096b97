// A weight's gradient: gradient += dyᵀ·x, in fp32.
//
// Both operands lie with their tokens, which the sum runs over, as rows. The narrower one is transposed once
// for all threads; of the other one a thread packs the columns that it works on, which stay in its own cache.
#pragma once

#include <ATen/core/Tensor.h>

namespace mixln::worker::trainer::gemm {

// dy: [tokens, out], x: [tokens, in], each fp32 or bf16, rows contiguous. gradient: [out, in], fp32, rows
// contiguous. Every element is summed in the same order whatever the number of threads.
void AddWeightGradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& gradient);
// Multiplied as fp32, or as what both are.
void AddWeightGradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& gradient,
                       at::ScalarType multiplied_as);

}  // namespace mixln::worker::trainer::gemm
