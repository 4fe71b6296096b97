// What model FLOPs utilization is made of: the operations that training on one token takes, and what this
// machine can do at best.
#pragma once

#include <cstdint>

#include "worker/trainer/device/device.h"

namespace mixln::worker::trainer::diagnostics {

// Sizes that training's operations depend on.
struct ModelSize {
  int64_t parameters = 0;  // without the input embedding, which is a look-up
  int64_t layers = 0;
  int64_t hidden_size = 0;
  int64_t context = 0;
};

// 6·parameters + 12·layers·hidden·context (PaLM, Chowdhery et al. 2022, appendix B): forward and backward
// pass, attention over the whole context, nothing for recomputation.
double FlopsPerToken(const ModelSize& size);

// Operations a second of a square matrix product in bf16 or fp32 on the device, CPUs with
// at::get_num_threads() threads: the best of a few, which take about a tenth of a second.
double MeasurePeakFlops(const device::Device& device, bool bf16);

}  // namespace mixln::worker::trainer::diagnostics
