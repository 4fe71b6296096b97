#include <ATen/Parallel.h>

#include "worker/trainer/cpu/operations.h"
#include "worker/trainer/gemm/element.h"
#include "worker/trainer/kernels/cross_entropy.h"

namespace mixln::worker::trainer::cpu {

void CrossEntropy(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& mask,
                  double gradient_scale, const at::Tensor& losses) {
  constexpr int64_t kRows = 4;  // of a thread at least
  const auto scale = static_cast<float>(gradient_scale);
  const uint8_t* counts = mask.defined() ? mask.const_data_ptr<uint8_t>() : nullptr;
  gemm::WithElement(logits.scalar_type(), [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, logits.size(0), kRows, [&](int64_t begin, int64_t end) {
      kernels::CrossEntropyRows(gemm::Data<T>(logits), targets.const_data_ptr<int64_t>(), counts, scale,
                                losses.data_ptr<double>(), logits.size(1), begin, end);
    });
  });
}

}  // namespace mixln::worker::trainer::cpu
