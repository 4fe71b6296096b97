#pragma once

#include <ATen/core/Tensor.h>

#include "worker/trainer/device/device.h"

namespace mixln::worker::trainer::norm {

// A learned weight of the stream for each channel, and its gradient: fp32 [hidden], undefined where there is
// none.
struct Omega {
  at::Tensor weight;
  at::Tensor gradient;
};

// ω∘x for x fp32 [rows, hidden].
at::Tensor ScaleStream(const device::Device& device, const Omega& omega, const at::Tensor& x);

// ω∘dy, the gradient with respect to x; adds ω's gradient.
at::Tensor ScaleStreamBackward(const device::Device& device, const Omega& omega, const at::Tensor& x,
                               const at::Tensor& dy);

}  // namespace mixln::worker::trainer::norm
