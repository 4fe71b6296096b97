#include "worker/trainer/norm/dlcl.h"

#include <ATen/Functions.h>

#include "worker/trainer/norm/pre.h"

namespace mixln::worker::trainer::norm {
LayerForm DlclForm() {
  LayerForm form = PreForm();
  form.mlp.after = "output_layernorm";
  form.sums_outputs = true;
  return form;
}

OutputSum::OutputSum(const device::Device& device, at::Tensor weight, at::Tensor gradient)
    : device_(&device), weight_(std::move(weight)), gradient_(std::move(gradient)) {}

at::Tensor OutputSum::Forward(const std::vector<at::Tensor>& outputs) {
  outputs_ = outputs;
  at::Tensor x = at::empty_like(outputs.front());
  device_->sum_outputs(outputs_, weight_, x);
  return x;
}

std::vector<at::Tensor> OutputSum::Backward(const at::Tensor& dx) {
  std::vector<at::Tensor> gradients;
  gradients.reserve(outputs_.size());
  for (size_t k = 0; k < outputs_.size(); ++k) gradients.push_back(at::empty_like(dx));
  device_->sum_outputs_backward(dx, outputs_, weight_, gradients, gradient_);
  outputs_.clear();
  return gradients;
}

}  // namespace mixln::worker::trainer::norm
