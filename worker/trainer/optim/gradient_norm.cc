#include "worker/trainer/optim/gradient_norm.h"

#include <ATen/Functions.h>

namespace mixln::worker::trainer::optim {

void SumVectorGradients(const std::vector<fsdp::Unit*>& units, fsdp::Collectives& ranks) {
  std::vector<at::Tensor> gradients;
  for (const fsdp::Unit* unit : units) gradients.push_back(unit->vector_gradients());
  const at::Tensor all = at::cat(gradients);
  ranks.Sum(all);
  int64_t begin = 0;
  for (at::Tensor& gradient : gradients) {
    gradient.copy_(all.narrow(0, begin, gradient.numel()));
    begin += gradient.numel();
  }
}

std::vector<double> SquaredGradientNorms(const device::Device& device, const std::vector<fsdp::Unit*>& units,
                                         fsdp::Collectives* ranks) {
  const auto count = static_cast<int64_t>(units.size());
  const at::Tensor sums = at::zeros({count, 2}, device.options(at::kDouble));
  for (int64_t i = 0; i < count; ++i) units[static_cast<size_t>(i)]->SquareGradient(sums[i]);
  const at::Tensor host = sums.cpu();  // once: copying waits for the device
  std::vector<double> squares;
  squares.reserve(units.size());
  for (int64_t i = 0; i < count; ++i) {
    const double* of_unit = host.const_data_ptr<double>() + 2 * i;
    squares.push_back(of_unit[0] + of_unit[1]);
  }
  if (ranks != nullptr) ranks->Sum(squares);
  return squares;
}

double ClipScale(double gradient_norm, double clip_norm) {
  if (clip_norm == 0) return 1.0;
  const double scale = clip_norm / (gradient_norm + 1e-6);
  return scale > 1.0 ? 1.0 : scale;
}

}  // namespace mixln::worker::trainer::optim
