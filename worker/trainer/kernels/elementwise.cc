#include "worker/trainer/kernels/elementwise.h"

#include "worker/trainer/kernels/vector.h"

namespace mixln::worker::trainer::kernels {
namespace {

template <typename From, typename To>
MIXLN_INLINE void Scale(const From* __restrict__ from, float scale, To* __restrict__ to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) Store(scale * Load(from + i), to + i);
}

// `to` may be `x`.
template <typename Y>
MIXLN_INLINE void Add(const float* x, float a, const Y* __restrict__ y, float b, float* to, int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) to[i] = a * x[i] + b * Load(y + i);
}

}  // namespace

MIXLN_CLONES void ScaleTo(const float* from, float scale, float* to, int64_t count) {
  Scale(from, scale, to, count);
}
MIXLN_CLONES void ScaleTo(const float* from, float scale, Bf16* to, int64_t count) {
  Scale(from, scale, to, count);
}
MIXLN_CLONES void ScaleTo(const Bf16* from, float scale, float* to, int64_t count) {
  Scale(from, scale, to, count);
}
MIXLN_CLONES void RoundRows(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to,
                            int64_t to_stride) {
  for (int64_t row = 0; row < rows; ++row)
    Scale(from + row * from_stride, 1.0F, to + row * to_stride, columns);
}
MIXLN_CLONES void RoundRows(const float* from, int64_t from_stride, int64_t rows, int64_t columns, Bf16* to,
                            int64_t to_stride) {
  for (int64_t row = 0; row < rows; ++row)
    Scale(from + row * from_stride, 1.0F, to + row * to_stride, columns);
}

MIXLN_CLONES void AddTo(const float* x, float a, const float* y, float b, float* to, int64_t count) {
  Add(x, a, y, b, to, count);
}
MIXLN_CLONES void AddTo(const float* x, float a, const Bf16* y, float b, float* to, int64_t count) {
  Add(x, a, y, b, to, count);
}

MIXLN_CLONES double Dot(const float* x, const float* y, int64_t count) {
  constexpr int64_t kPiece = 256;
  double sum = 0;
  for (int64_t first = 0; first < count; first += kPiece) {
    const int64_t piece = count - first < kPiece ? count - first : kPiece;
    sum += SumOf(piece, [=](int64_t i) { return x[first + i] * y[first + i]; });
  }
  return sum;
}

MIXLN_CLONES void ScaleChannels(const float* x, const float* weight, float* to, int64_t columns,
                                int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float* __restrict__ from = x + row * columns;
    float* __restrict__ out = to + row * columns;
    for (int64_t c = 0; c < columns; ++c) out[c] = weight[c] * from[c];
  }
}

MIXLN_CLONES void ScaleChannelsBackward(const float* x, const float* weight, const float* dy, float* dx,
                                        float* weight_gradient, int64_t columns, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float* __restrict__ from = x + row * columns;
    const float* __restrict__ d = dy + row * columns;
    float* __restrict__ out = dx + row * columns;
    float* __restrict__ dw = weight_gradient;
    for (int64_t c = 0; c < columns; ++c) {
      out[c] = weight[c] * d[c];
      dw[c] += from[c] * d[c];
    }
  }
}

}  // namespace mixln::worker::trainer::kernels
