#pragma once

#include <ATen/native/CPUBlas.h>

#include <cstdint>

#include "worker/trainer/kernels/pack.h"

// One block product: what everything here is made of.
namespace mixln::worker::trainer::gemm {

// result = left·right, or result += left·right. `left` is [rows, depth]; `right` is packed in words
// (kernels/pack.h): [words, columns] with `right_stride` words from one to the next. A bf16 depth is even.
// Strides are in elements.
inline void BlockProduct(int64_t rows, int64_t columns, int64_t depth, const float* left, int64_t left_stride,
                         const uint32_t* right, int64_t right_stride, float* result, int64_t stride,
                         bool add) {
  at::native::cpublas::brgemm(rows, columns, depth, left_stride, right_stride, stride, add, left,
                              reinterpret_cast<const float*>(right), result, /*is_vnni=*/false);
}
inline void BlockProduct(int64_t rows, int64_t columns, int64_t depth, const kernels::Bf16* left,
                         int64_t left_stride, const uint32_t* right, int64_t right_stride, float* result,
                         int64_t stride, bool add) {
  at::native::cpublas::brgemm(rows, columns, depth, left_stride, right_stride, stride, add,
                              reinterpret_cast<const at::BFloat16*>(left),
                              reinterpret_cast<const at::BFloat16*>(right), result, /*is_vnni=*/true);
}

// A thread that has done block products and now does something else: gives back the tile registers of AMX.
inline void EndBlockProducts() {
  at::native::cpublas::brgemm_release();
}

}  // namespace mixln::worker::trainer::gemm
