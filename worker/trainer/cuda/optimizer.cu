#include <cmath>

#include "worker/trainer/cuda/kernels.h"
#include "worker/trainer/cuda/launch.h"

namespace mixln::worker::trainer::cuda {
namespace {

using kernels::Store;

// What an AdamWStep says of every element, in fp32.
struct AdamWFactors {
  float keep;
  float step_size;
  float inverse_root;
  float gradient_scale;
  float beta1;
  float beta2;
  float eps;
};

__global__ void AdamWKernel(AdamWFactors step, float* weight, float* gradient, float* exp_avg,
                            float* exp_avg_sq, Bf16* compute, int64_t count) {
  for (int64_t i = FirstElement(); i < count; i += ElementStride()) {
    const float g = gradient[i] * step.gradient_scale;
    const float m = exp_avg[i] + (g - exp_avg[i]) * (1.0F - step.beta1);
    const float v = step.beta2 * exp_avg_sq[i] + (1.0F - step.beta2) * g * g;
    const float w = weight[i] * step.keep - step.step_size * m / (sqrtf(v) * step.inverse_root + step.eps);
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    weight[i] = w;
    gradient[i] = 0;
    if (compute != nullptr) Store(w, compute + i);
  }
}

}  // namespace

void AdamW(Stream stream, const kernels::AdamWStep& step, float* weight, float* gradient, float* exp_avg,
           float* exp_avg_sq, Bf16* compute, int64_t count) {
  const AdamWFactors factors{.keep = 1.0F - step.lr * step.decay,
                             .step_size = static_cast<float>(static_cast<double>(step.lr) / step.correction1),
                             .inverse_root = static_cast<float>(1.0 / std::sqrt(step.correction2)),
                             .gradient_scale = step.gradient_scale,
                             .beta1 = step.beta1,
                             .beta2 = step.beta2,
                             .eps = step.eps};
  Launch(AdamWKernel, BlocksFor(count), stream, factors, weight, gradient, exp_avg, exp_avg_sq, compute,
         count);
}

}  // namespace mixln::worker::trainer::cuda
