#include "worker/trainer/model/linear.h"

#include <ATen/Functions.h>

namespace mixln::worker::trainer::model {

at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight) {
  return at::mm(x, weight.t());
}

at::Tensor LinearBackward(const at::Tensor& dy, const at::Tensor& weight) {
  return at::mm(dy, weight);
}

void AccumulateWeightGradient(const at::Tensor& dy, const at::Tensor& x, at::Tensor gradient) {
  if (dy.scalar_type() == at::kFloat) {
    at::addmm_out(gradient, gradient, dy.t(), x);
  } else {
    gradient.add_(at::mm(dy.t(), x));  // ATen has no bf16 product that adds to fp32 on CPUs
  }
}

}  // namespace mixln::worker::trainer::model
