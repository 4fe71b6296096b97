#pragma once

#include <cstdint>

#include "worker/trainer/kernels/vector.h"

namespace mixln::worker::trainer::kernels {

// A tile of C in registers: Rows × (Vectors·8).
template <int Rows, int Vectors, bool kTransposeA>
MIXLN_INLINE void GemmTile(int64_t depth, const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                           float* c, int64_t c_stride, bool accumulate) {
  Vector sum[Rows][Vectors] = {};
  for (int64_t k = 0; k < depth; ++k) {
    for (int r = 0; r < Rows; ++r) {
      const float left = kTransposeA ? a[k * a_stride + r] : a[r * a_stride + k];
      for (int v = 0; v < Vectors; ++v) sum[r][v] += left * MIXLN_LOAD_VECTOR(b + k * b_stride + v * kLanes);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) {
      float* to = c + r * c_stride + v * kLanes;
      MIXLN_STORE_VECTOR(to) = accumulate ? MIXLN_LOAD_VECTOR(to) + sum[r][v] : sum[r][v];
    }
  }
}

// C = A·B, or C += A·B: `rows` × `columns` over `depth`, all row-major. `columns` is a multiple of 8. With
// kTransposeA, `a` is stored [depth, rows]. For the small matrices of attention, where a library's call costs
// more than the work.
template <bool kTransposeA>
MIXLN_INLINE void SmallGemm(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t a_stride,
                            const float* b, int64_t b_stride, float* c, int64_t c_stride, bool accumulate) {
  const int64_t a_row = kTransposeA ? 1 : a_stride;
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    const float* left = a + row * a_row;
    float* out = c + row * c_stride;
    int64_t column = 0;
    for (; column + 3 * kLanes <= columns; column += 3 * kLanes) {
      GemmTile<4, 3, kTransposeA>(depth, left, a_stride, b + column, b_stride, out + column, c_stride,
                                  accumulate);
    }
    for (; column < columns; column += kLanes) {
      GemmTile<4, 1, kTransposeA>(depth, left, a_stride, b + column, b_stride, out + column, c_stride,
                                  accumulate);
    }
  }
  for (; row < rows; ++row) {
    for (int64_t column = 0; column < columns; column += kLanes) {
      GemmTile<1, 1, kTransposeA>(depth, a + row * a_row, a_stride, b + column, b_stride,
                                  c + row * c_stride + column, c_stride, accumulate);
    }
  }
}

}  // namespace mixln::worker::trainer::kernels
