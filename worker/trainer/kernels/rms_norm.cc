#include "worker/trainer/kernels/rms_norm.h"

#include <cmath>

#include "worker/trainer/kernels/vector.h"

namespace mixln::worker::trainer::kernels {
namespace {

MIXLN_INLINE void Center(const float* x, float* centered, int64_t columns) {
  const float mean = SumOf(columns, [x](int64_t c) { return x[c]; }) / static_cast<float>(columns);
#pragma GCC ivdep
  for (int64_t c = 0; c < columns; ++c) centered[c] = x[c] - mean;  // `centered` may be `x`
}

template <typename Branch, typename Y>
MIXLN_INLINE void Forward(const RmsNormForward& norm, const Branch* branch, Y* y, int64_t begin,
                          int64_t end) {
  const int64_t columns = norm.columns;
  for (int64_t row = begin; row < end; ++row) {
    const float* __restrict__ x = norm.x + row * columns;
    if (branch != nullptr) {
      const Branch* __restrict__ b = branch + row * columns;
      float* __restrict__ sum = norm.sum + row * columns;
      for (int64_t c = 0; c < columns; ++c) sum[c] = norm.stream_scale * x[c] + Load(b + c);
      x = sum;
    }
    if (norm.centered) {
      float* sum = norm.sum + row * columns;
      Center(x, sum, columns);
      x = sum;
    }
    const float mean = SumOf(columns, [x](int64_t c) { return x[c] * x[c]; }) / static_cast<float>(columns);
    const float inverse = 1.0F / std::sqrt(mean + norm.eps);
    norm.inverse_rms[row] = inverse;
    const float factor = inverse * norm.scale;
    Y* __restrict__ out = y + row * columns;
    const float* __restrict__ weight = norm.weight + row % norm.weight_rows * columns;
    for (int64_t c = 0; c < columns; ++c) Store(weight[c] * (x[c] * factor), out + c);
  }
}

// With x̂ = x·r, r the inverse RMS, and g = scale·weight∘dy:  dx = r·(g − x̂·mean(g∘x̂)),  dweight = Σ
// scale·dy∘x̂. Where x was centered, dx is too: the mean of x̂ is 0, so that of r·g goes.
template <typename Dy>
MIXLN_INLINE void Backward(const RmsNormBackward& norm, const Dy* dy, float* weight_gradient, int64_t begin,
                           int64_t end) {
  const int64_t columns = norm.columns;
  for (int64_t row = begin; row < end; ++row) {
    const float* __restrict__ x = norm.x + row * columns;
    const Dy* __restrict__ d = dy + row * columns;
    float* __restrict__ dx = norm.dx + row * columns;
    const int64_t weight_row = row % norm.weight_rows;
    const float* __restrict__ weight = norm.weight + weight_row * columns;
    float* __restrict__ dw = weight_gradient + weight_row * columns;
    const float inverse = norm.inverse_rms[row];
    const float factor = inverse * norm.scale;
    const float dot = SumOf(columns, [=](int64_t c) { return weight[c] * Load(d + c) * x[c]; });
    const float mean = dot * factor * inverse * inverse / static_cast<float>(columns);
    if (norm.residual != nullptr) {
      const float* __restrict__ residual = norm.residual + row * columns;
      for (int64_t c = 0; c < columns; ++c) {
        dx[c] = norm.residual_scale * residual[c] + (factor * weight[c] * Load(d + c) - x[c] * mean);
        dw[c] += Load(d + c) * x[c] * factor;
      }
    } else {
      for (int64_t c = 0; c < columns; ++c) {
        dx[c] = factor * weight[c] * Load(d + c) - x[c] * mean;
        dw[c] += Load(d + c) * x[c] * factor;
      }
    }
    if (norm.centered) {
      const float shift = SumOf(columns, [=](int64_t c) { return weight[c] * Load(d + c); }) * factor /
                          static_cast<float>(columns);
      for (int64_t c = 0; c < columns; ++c) dx[c] -= shift;
    }
  }
}

}  // namespace

MIXLN_CLONES void NormRows(const RmsNormForward& norm, const float* branch, float* y, int64_t begin,
                           int64_t end) {
  Forward(norm, branch, y, begin, end);
}
MIXLN_CLONES void NormRows(const RmsNormForward& norm, const Bf16* branch, Bf16* y, int64_t begin,
                           int64_t end) {
  Forward(norm, branch, y, begin, end);
}
MIXLN_CLONES void NormRows(const RmsNormForward& norm, const Bf16* branch, float* y, int64_t begin,
                           int64_t end) {
  Forward(norm, branch, y, begin, end);
}
MIXLN_CLONES void NormRowsBackward(const RmsNormBackward& norm, const float* dy, float* weight_gradient,
                                   int64_t begin, int64_t end) {
  Backward(norm, dy, weight_gradient, begin, end);
}
MIXLN_CLONES void NormRowsBackward(const RmsNormBackward& norm, const Bf16* dy, float* weight_gradient,
                                   int64_t begin, int64_t end) {
  Backward(norm, dy, weight_gradient, begin, end);
}

}  // namespace mixln::worker::trainer::kernels
