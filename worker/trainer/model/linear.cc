#include "worker/trainer/model/linear.h"

#include <ATen/Functions.h>

#include "worker/trainer/diagnostics/phase.h"
#include "worker/trainer/gemm/product.h"

namespace mixln::worker::trainer::model {

using diagnostics::Phase;
using diagnostics::PhaseSpan;

at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight) {
  const PhaseSpan span(Phase::kProducts);
  at::Tensor y = at::empty({x.size(0), weight.size(0)}, x.options());
  gemm::Multiply({x}, gemm::Packed({weight, true}), y);
  return y;
}

at::Tensor LinearBackward(const at::Tensor& dy, const at::Tensor& weight) {
  const PhaseSpan span(Phase::kProducts);
  at::Tensor dx = at::empty({dy.size(0), weight.size(1)}, dy.options());
  gemm::Multiply({dy}, gemm::Packed({weight}), dx);
  return dx;
}

void AccumulateWeightGradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& gradient) {
  const PhaseSpan span(Phase::kProducts);
  gemm::MultiplyAndAdd({dy, true}, gemm::Packed({x}), gradient);
}

}  // namespace mixln::worker::trainer::model
