#include "worker/trainer/diagnostics/flops.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/clock/clock.h"

namespace mixln::worker::trainer::diagnostics {
namespace {

constexpr base::Duration kMeasure = base::Seconds(0.1);

}  // namespace

double FlopsPerToken(const ModelSize& size) {
  const auto number = [](int64_t count) { return static_cast<double>(count); };
  return 6 * number(size.parameters) +
         12 * number(size.layers) * number(size.hidden_size) * number(size.context);
}

double MeasurePeakFlops(const device::Device& device, bool bf16) {
  const at::NoGradGuard no_grad;
  const at::TensorOptions options = device.options(bf16 ? at::kBFloat16 : at::kFloat);
  const int64_t size = device.peak_size;
  const at::Tensor a = at::full({size, size}, 0.5, options);
  const at::Tensor b = at::full({size, size}, 0.25, options);
  const at::Tensor product = at::empty({size, size}, options);
  const auto multiply = [&] {
    device.multiply(a, device.prepare({b}), product);
    device.synchronize();
  };
  multiply();  // the first one makes plans and buffers
  base::Duration best = kMeasure;
  const base::Time begin = base::ReadClock().steady;
  for (base::Time before = begin; before < begin + kMeasure;) {
    multiply();
    const base::Time after = base::ReadClock().steady;
    best = std::min(best, after - before);
    before = after;
  }
  const auto length = static_cast<double>(size);
  return 2.0 * length * length * length / std::max(base::ToSeconds(best), 1e-6);
}

}  // namespace mixln::worker::trainer::diagnostics
