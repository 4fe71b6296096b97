#include "worker/trainer/optim/update_ratio.h"

#include <cmath>

namespace mixln::worker::trainer::optim {

std::vector<double> UpdateRatios(const at::Tensor& movements, fsdp::Collectives* ranks) {
  const at::Tensor host = movements.cpu();
  const auto* values = host.const_data_ptr<double>();
  std::vector<double> sums(values, values + host.numel());
  if (ranks != nullptr) ranks->Sum(sums);
  std::vector<double> ratios;
  ratios.reserve(sums.size() / 2);
  for (size_t i = 0; i < sums.size(); i += 2)
    ratios.push_back(sums[i + 1] > 0 ? std::sqrt(sums[i] / sums[i + 1]) : 0);
  return ratios;
}

}  // namespace mixln::worker::trainer::optim
