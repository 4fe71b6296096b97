#include "worker/trainer/diagnostics/flops.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/clock/clock.h"
#include "worker/trainer/gemm/product.h"

namespace mixln::worker::trainer::diagnostics {
namespace {

// Large enough to reach the peak, and short enough to be done at times between two other processes.
constexpr int64_t kSize = 512;
constexpr base::Duration kMeasure = base::Seconds(0.1);

}  // namespace

double FlopsPerToken(const ModelSize& size) {
  const auto number = [](int64_t count) { return static_cast<double>(count); };
  return 6 * number(size.parameters) +
         12 * number(size.layers) * number(size.hidden_size) * number(size.context);
}

double MeasurePeakFlops(bool bf16) {
  const at::NoGradGuard no_grad;
  const at::ScalarType type = bf16 ? at::kBFloat16 : at::kFloat;
  const at::Tensor a = at::full({kSize, kSize}, 0.5, type);
  const at::Tensor b = at::full({kSize, kSize}, 0.25, type);
  at::Tensor product = at::empty({kSize, kSize}, type);
  const auto multiply = [&] { gemm::Multiply({a}, gemm::Packed({b}), product); };
  multiply();  // the first one makes plans and buffers
  base::Duration best = kMeasure;
  const base::Time begin = base::ReadClock().steady;
  for (base::Time before = begin; before < begin + kMeasure;) {
    multiply();
    const base::Time after = base::ReadClock().steady;
    best = std::min(best, after - before);
    before = after;
  }
  return 2.0 * kSize * kSize * kSize / std::max(base::ToSeconds(best), 1e-6);
}

}  // namespace mixln::worker::trainer::diagnostics
