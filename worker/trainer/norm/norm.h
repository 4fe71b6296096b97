#pragma once

#include <ATen/core/Tensor.h>

#include "worker/trainer/device/device.h"

namespace mixln::worker::trainer::norm {

// What every norm of a model divides by.
enum class Kind {
  kRms,    // RMSNorm (Zhang and Sennrich 2019): the root mean square
  kLayer,  // LayerNorm (Ba et al. 2016) without a bias: the standard deviation, of what is centred first
};

// One norm: its weight and gradient, both fp32 [hidden], undefined where there is no norm. Each of `groups`
// groups of neighbouring channels is normed alone.
struct Norm {
  at::Tensor weight;
  at::Tensor gradient;
  Kind kind = Kind::kRms;
  double eps = 0;
  int64_t groups = 1;
};

// What the backward pass needs.
struct NormSaved {
  at::Tensor input;        // fp32 [rows, hidden]; a LayerNorm's is centred
  at::Tensor inverse_rms;  // fp32 [rows, groups]
};

// y = scale · norm(stream_scale·x + branch) in `type`; without a branch (undefined) the norm of x. x is fp32
// [rows, hidden], the branch fp32 or bf16. LayerNorm is RMSNorm of x − mean(x).
at::Tensor Normalize(const device::Device& device, const Norm& norm, double scale, const at::Tensor& x,
                     double stream_scale, const at::Tensor& branch, at::ScalarType type, NormSaved* saved);

// The gradient with respect to the norm's input plus residual_scale·residual (where defined), in fp32; adds
// the weight's gradient.
at::Tensor NormalizeBackward(const device::Device& device, const Norm& norm, double scale,
                             const NormSaved& saved, const at::Tensor& dy, const at::Tensor& residual,
                             double residual_scale);

}  // namespace mixln::worker::trainer::norm
