#include "worker/trainer/norm/norm.h"

#include <ATen/Functions.h>

namespace mixln::worker::trainer::norm {

at::Tensor Normalize(const device::Device& device, const Norm& norm, double scale, const at::Tensor& x,
                     double stream_scale, const at::Tensor& branch, at::ScalarType type, NormSaved* saved) {
  const bool centered = norm.kind == Kind::kLayer;
  const bool copied = branch.defined() || centered;
  at::Tensor y = at::empty(x.sizes(), x.options().dtype(type));
  saved->input = copied ? at::empty_like(x) : x;
  saved->inverse_rms = at::empty({x.size(0), norm.groups}, x.options());
  device.norm({.x = x,
               .stream_scale = stream_scale,
               .branch = branch,
               .weight = norm.weight,
               .scale = scale,
               .eps = norm.eps,
               .centered = centered,
               .groups = norm.groups,
               .sum = copied ? saved->input : at::Tensor(),
               .inverse_rms = saved->inverse_rms,
               .y = y});
  return y;
}

at::Tensor NormalizeBackward(const device::Device& device, const Norm& norm, double scale,
                             const NormSaved& saved, const at::Tensor& dy, const at::Tensor& residual,
                             double residual_scale) {
  at::Tensor dx = at::empty_like(saved.input);
  device.norm_backward({.input = saved.input,
                        .inverse_rms = saved.inverse_rms,
                        .weight = norm.weight,
                        .scale = scale,
                        .centered = norm.kind == Kind::kLayer,
                        .groups = norm.groups,
                        .dy = dy,
                        .residual = residual,
                        .residual_scale = residual_scale,
                        .dx = dx,
                        .weight_gradient = norm.gradient});
  return dx;
}

}  // namespace mixln::worker::trainer::norm
