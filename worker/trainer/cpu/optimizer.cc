#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "worker/trainer/cpu/operations.h"
#include "worker/trainer/gemm/element.h"

namespace mixln::worker::trainer::cpu {

void AdamW(const kernels::AdamWStep& step, const device::AdamWTensors& tensors) {
  constexpr int64_t kElements = 16384;  // of a thread at least
  auto* weight = tensors.weight.data_ptr<float>();
  auto* gradient = tensors.gradient.data_ptr<float>();
  auto* exp_avg = tensors.exp_avg.data_ptr<float>();
  auto* exp_avg_sq = tensors.exp_avg_sq.data_ptr<float>();
  auto* compute = tensors.compute.defined() ? gemm::Data<kernels::Bf16>(tensors.compute) : nullptr;
  at::parallel_for(0, tensors.weight.numel(), kElements, [&](int64_t begin, int64_t end) {
    kernels::AdamWUpdate(step, weight + begin, gradient + begin, exp_avg + begin, exp_avg_sq + begin,
                         compute == nullptr ? nullptr : compute + begin, end - begin);
  });
}

// Fixed blocks, summed in order.
void SumOfSquares(const at::Tensor& flat, const at::Tensor& to) {
  constexpr int64_t kBlock = 65536;
  const int64_t size = flat.numel();
  const int64_t blocks = (size + kBlock - 1) / kBlock;
  const float* values = flat.const_data_ptr<float>();
  std::vector<double> sums(static_cast<size_t>(blocks));
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kBlock;
      sums[static_cast<size_t>(block)] =
          kernels::SumOfSquares(values + first, std::min(kBlock, size - first));
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  *to.data_ptr<double>() = total;
}

}  // namespace mixln::worker::trainer::cpu
