#include "worker/trainer/optim/gradient_norm.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "worker/trainer/kernels/adamw.h"

namespace mixln::worker::trainer::optim {

std::vector<double> SquaredGradientNorms(const std::vector<fsdp::Unit*>& units) {
  constexpr int64_t kBlock = 65536;
  std::vector<double> squares;
  for (const fsdp::Unit* unit : units) {
    const float* gradient = unit->gradient().const_data_ptr<float>();
    const int64_t size = unit->gradient().numel();
    const int64_t blocks = (size + kBlock - 1) / kBlock;
    std::vector<double> sums(static_cast<size_t>(blocks));
    at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        const int64_t first = block * kBlock;
        sums[static_cast<size_t>(block)] =
            kernels::SumOfSquares(gradient + first, std::min(kBlock, size - first));
      }
    });
    double total = 0;
    for (const double sum : sums) total += sum;
    squares.push_back(total);
  }
  return squares;
}

double ClipScale(double gradient_norm, double clip_norm) {
  if (clip_norm == 0) return 1.0;
  const double scale = clip_norm / (gradient_norm + 1e-6);
  return scale > 1.0 ? 1.0 : scale;
}

}  // namespace mixln::worker::trainer::optim
