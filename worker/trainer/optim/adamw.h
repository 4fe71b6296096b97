#pragma once

#include <cstdint>
#include <vector>

#include "worker/trainer/device/device.h"
#include "worker/trainer/fsdp/unit.h"
#include "worker/trainer/optim/update_ratio.h"

namespace mixln::worker::trainer::optim {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
};

// Update number `update` (from 1) of every parameter that this rank owns, with gradients multiplied by
// gradient_scale. Zeroes the gradients; bf16 copies follow. Formula: kernels/adamw.h. `movements` (null: not
// wanted) gets each unit's, over what this rank owns, vectors on rank 0 only; the weights become the same
// bits with it and without.
void AdamW(const device::Device& device, const std::vector<fsdp::Unit*>& units, const AdamWOptions& options,
           double lr, int64_t update, double gradient_scale, std::vector<Movement>* movements = nullptr);

}  // namespace mixln::worker::trainer::optim
