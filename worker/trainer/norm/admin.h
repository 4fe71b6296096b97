#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/trainer/device/device.h"
#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::norm {

// Admin: x' = N(ω∘x + f(x)), ω learned for each channel (Liu et al. 2020, arXiv 2004.08249, section 4.2 and
// appendix). Matrices start as N(0, init_std), norm weights as 1. The sublayers i = 1 … 2L of the whole model
// start with ω₁ = 1 and
//
//   ωᵢ₊₁² = Var(ωᵢ∘xᵢ) + Var(fᵢ),
//
// filled in order by a forward pass over the first global batch (model/admin_start.h); the variance is over
// all elements. Behind a sublayer of another placement, ω and f are what that adds up: w and B(f).
LayerForm AdminForm();

// What a variance is made of. Those of two sets of elements, on two ranks too, add up to that of both.
struct Moments {
  double sum = 0;
  double sum_of_squares = 0;
  double count = 0;

  Moments& operator+=(const Moments& other);
};

// Of all elements of a contiguous fp32 tensor.
Moments MomentsOf(const device::Device& device, const at::Tensor& tensor);

// E[x²] − E[x]².
double Variance(const Moments& moments);

}  // namespace mixln::worker::trainer::norm
