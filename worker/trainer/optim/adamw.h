#pragma once

#include <cstdint>
#include <vector>

#include "worker/trainer/device/device.h"
#include "worker/trainer/fsdp/unit.h"

namespace mixln::worker::trainer::optim {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
};

// Update number `update` (from 1) of every parameter that this rank owns, with gradients multiplied by
// gradient_scale. Zeroes the gradients; bf16 copies follow. Formula: kernels/adamw.h. Adds to `movements`
// [units, 2], fp64 on the device (undefined: not wanted), what device::Device::adamw says of each unit, over
// what this rank owns, vectors on rank 0 only.
void AdamW(const device::Device& device, const std::vector<fsdp::Unit*>& units, const AdamWOptions& options,
           double lr, int64_t update, double gradient_scale, const at::Tensor& movements);

}  // namespace mixln::worker::trainer::optim
