#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <vector>

#include "worker/trainer/cpu/operations.h"
#include "worker/trainer/gemm/element.h"

namespace mixln::worker::trainer::cpu {

namespace {

// What one thread updates at a time. The same blocks whatever the number of threads: their sums are added up
// in order.
constexpr int64_t kBlock = 16384;

struct Movement {
  double update = 0;
  double weight = 0;
};

}  // namespace

void AdamW(const kernels::AdamWStep& step, const device::AdamWTensors& tensors, const at::Tensor& movement) {
  auto* weight = tensors.weight.data_ptr<float>();
  auto* gradient = tensors.gradient.data_ptr<float>();
  auto* exp_avg = tensors.exp_avg.data_ptr<float>();
  auto* exp_avg_sq = tensors.exp_avg_sq.data_ptr<float>();
  auto* compute = tensors.compute.defined() ? gemm::Data<kernels::Bf16>(tensors.compute) : nullptr;
  const int64_t elements = tensors.weight.numel();
  const int64_t blocks = (elements + kBlock - 1) / kBlock;
  const bool measure = movement.defined();
  std::vector<Movement> of_blocks(measure ? static_cast<size_t>(blocks) : 0);
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    std::array<float, kBlock> before;
    for (int64_t block = first; block < last; ++block) {
      const int64_t begin = block * kBlock;
      const int64_t count = std::min(kBlock, elements - begin);
      if (measure) std::copy_n(weight + begin, count, before.data());
      kernels::AdamWUpdate(step, weight + begin, gradient + begin, exp_avg + begin, exp_avg_sq + begin,
                           compute == nullptr ? nullptr : compute + begin, count);
      if (measure)  // while the block is in the core's cache
        of_blocks[static_cast<size_t>(block)] = {
            kernels::SumOfSquaredDifferences(weight + begin, before.data(), count),
            kernels::SumOfSquares(before.data(), count)};
    }
  });
  if (!measure) return;
  auto* sums = movement.data_ptr<double>();
  for (const Movement& block : of_blocks) {
    sums[0] += block.update;
    sums[1] += block.weight;
  }
}

// Fixed blocks, summed in order.
void SumOfSquares(const at::Tensor& flat, const at::Tensor& to) {
  constexpr int64_t kSummed = 65536;
  const int64_t size = flat.numel();
  const int64_t blocks = (size + kSummed - 1) / kSummed;
  const float* values = flat.const_data_ptr<float>();
  std::vector<double> sums(static_cast<size_t>(blocks));
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kSummed;
      sums[static_cast<size_t>(block)] =
          kernels::SumOfSquares(values + first, std::min(kSummed, size - first));
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  *to.data_ptr<double>() = total;
}

}  // namespace mixln::worker::trainer::cpu
