#pragma once

#include <ATen/core/Tensor.h>

namespace mixln::worker::trainer::norm {

// An RMSNorm's weight and its gradient, both fp32 [hidden]; undefined where there is no norm.
struct RmsNormParameter {
  at::Tensor weight;
  at::Tensor gradient;
};

// What the backward pass needs.
struct RmsNormSaved {
  at::Tensor input;        // fp32 [rows, hidden]
  at::Tensor inverse_rms;  // fp32 [rows]
};

// y = scale · norm(stream_scale·x + branch) in `type`; without a branch (undefined) the norm of x. x is fp32
// [rows, hidden], the branch fp32 or bf16.
at::Tensor RmsNorm(const RmsNormParameter& parameter, double eps, double scale, const at::Tensor& x,
                   double stream_scale, const at::Tensor& branch, at::ScalarType type, RmsNormSaved* saved);

// The gradient with respect to the norm's input plus residual_scale·residual (where defined), in fp32; adds
// the weight's gradient. Rows are summed in fixed blocks, so the result does not depend on the number of
// threads.
at::Tensor RmsNormBackward(const RmsNormParameter& parameter, double scale, const RmsNormSaved& saved,
                           const at::Tensor& dy, const at::Tensor& residual, double residual_scale);

}  // namespace mixln::worker::trainer::norm
