#include "worker/trainer/optim/update_ratio.h"

#include <cmath>

namespace mixln::worker::trainer::optim {

std::vector<double> UpdateRatios(const std::vector<Movement>& movements, fsdp::Collectives* ranks) {
  std::vector<double> sums;
  sums.reserve(2 * movements.size());
  for (const Movement& unit : movements) {
    sums.push_back(unit.update);
    sums.push_back(unit.weight);
  }
  if (ranks != nullptr) ranks->Sum(sums);
  std::vector<double> ratios;
  ratios.reserve(movements.size());
  for (size_t i = 0; i < sums.size(); i += 2)
    ratios.push_back(sums[i + 1] > 0 ? std::sqrt(sums[i] / sums[i + 1]) : 0);
  return ratios;
}

}  // namespace mixln::worker::trainer::optim
