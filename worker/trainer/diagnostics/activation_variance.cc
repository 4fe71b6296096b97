#include "worker/trainer/diagnostics/activation_variance.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

namespace mixln::worker::trainer::diagnostics {

void ActivationVariance::Add(size_t layer, const at::Tensor& x, const at::Tensor& mask) {
  const at::NoGradGuard no_grad;
  if (layers_.size() <= layer) layers_.resize(layer + 1);
  // at::var walks element by element, ten times as long.
  const at::Tensor whole = x.to(at::kFloat);
  const at::Tensor variances = (whole - whole.mean(-1, /*keepdim=*/true)).square_().mean(-1);
  Sum& sum = layers_[layer];
  sum.variances += (mask.defined() ? variances * mask : variances).sum(at::kDouble).item<double>();
  sum.tokens += mask.defined() ? mask.sum().item<int64_t>() : x.size(0);
}

std::vector<double> ActivationVariance::Mean() const {
  std::vector<double> means;
  means.reserve(layers_.size());
  for (const Sum& sum : layers_)
    means.push_back(sum.tokens > 0 ? sum.variances / static_cast<double>(sum.tokens) : 0);
  return means;
}

}  // namespace mixln::worker::trainer::diagnostics
