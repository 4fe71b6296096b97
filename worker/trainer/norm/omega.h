#pragma once

#include <ATen/core/Tensor.h>

namespace mixln::worker::trainer::norm {

// A learned weight of the stream for each channel, and its gradient: fp32 [hidden], undefined where there is
// none.
struct Omega {
  at::Tensor weight;
  at::Tensor gradient;
};

// ω∘x for x fp32 [rows, hidden].
at::Tensor ScaleStream(const Omega& omega, const at::Tensor& x);

// ω∘dy, the gradient with respect to x; adds ω's gradient. The result does not depend on the number of
// threads.
at::Tensor ScaleStreamBackward(const Omega& omega, const at::Tensor& x, const at::Tensor& dy);

}  // namespace mixln::worker::trainer::norm
