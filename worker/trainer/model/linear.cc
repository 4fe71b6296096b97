#include "worker/trainer/model/linear.h"

#include <ATen/Functions.h>

#include "worker/trainer/diagnostics/phase.h"

namespace mixln::worker::trainer::model {

using diagnostics::Phase;
using diagnostics::PhaseSpan;

at::Tensor Linear(const device::Device& device, const at::Tensor& x, const at::Tensor& weight) {
  const PhaseSpan span(Phase::kProducts);
  at::Tensor y = at::empty({x.size(0), weight.size(0)}, x.options());
  device.multiply(x, device.prepare({weight, true}), y);
  return y;
}

at::Tensor LinearBackward(const device::Device& device, const at::Tensor& dy, const at::Tensor& weight) {
  const PhaseSpan span(Phase::kProducts);
  at::Tensor dx = at::empty({dy.size(0), weight.size(1)}, dy.options());
  device.multiply(dy, device.prepare({weight}), dx);
  return dx;
}

void AccumulateWeightGradient(const device::Device& device, const at::Tensor& dy, const at::Tensor& x,
                              const at::Tensor& gradient) {
  const PhaseSpan span(Phase::kProducts);
  device.add_weight_gradient(dy, x, gradient);
}

}  // namespace mixln::worker::trainer::model
