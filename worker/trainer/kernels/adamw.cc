#include "worker/trainer/kernels/adamw.h"

#include <algorithm>
#include <cmath>

#include "worker/trainer/kernels/vector.h"

namespace mixln::worker::trainer::kernels {
namespace {

constexpr int64_t kBlock = 1024;  // whose sum is in fp32

}  // namespace

MIXLN_CLONES void AdamWUpdate(const AdamWStep& step, float* __restrict__ weight, float* __restrict__ gradient,
                              float* __restrict__ exp_avg, float* __restrict__ exp_avg_sq,
                              Bf16* __restrict__ compute, int64_t count) {
  const float keep = 1.0F - step.lr * step.decay;
  const float step_size = static_cast<float>(static_cast<double>(step.lr) / step.correction1);
  const float inverse_root = static_cast<float>(1.0 / std::sqrt(step.correction2));
  const float scale = step.gradient_scale;
  const float beta1 = step.beta1;
  const float beta2 = step.beta2;
  const float eps = step.eps;
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * scale;
    const float m = exp_avg[i] + (g - exp_avg[i]) * (1.0F - beta1);
    const float v = beta2 * exp_avg_sq[i] + (1.0F - beta2) * g * g;
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    weight[i] = weight[i] * keep - step_size * m / (std::sqrt(v) * inverse_root + eps);
    gradient[i] = 0;
  }
  if (compute == nullptr) return;
  for (int64_t i = 0; i < count; ++i) Store(weight[i], compute + i);
}

MIXLN_CLONES double SumOfSquares(const float* x, int64_t count) {
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const float* block = x + begin;
    total += static_cast<double>(
        SumOf(std::min(kBlock, count - begin), [block](int64_t i) { return block[i] * block[i]; }));
  }
  return total;
}

MIXLN_CLONES double SumOfSquaredDifferences(const float* x, const float* y, int64_t count) {
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const float* a = x + begin;
    const float* b = y + begin;
    total += static_cast<double>(
        SumOf(std::min(kBlock, count - begin), [a, b](int64_t i) { return (a[i] - b[i]) * (a[i] - b[i]); }));
  }
  return total;
}

}  // namespace mixln::worker::trainer::kernels
