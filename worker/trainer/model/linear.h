#pragma once

#include <ATen/core/Tensor.h>

#include "worker/trainer/device/device.h"

// The GEMMs of y = x·Wᵀ, for x [rows, in] and W [out, in] of one type, fp32 or bf16.
namespace mixln::worker::trainer::model {

at::Tensor Linear(const device::Device& device, const at::Tensor& x, const at::Tensor& weight);

// dx = dy·W.
at::Tensor LinearBackward(const device::Device& device, const at::Tensor& dy, const at::Tensor& weight);

// gradient += dyᵀ·x, in fp32.
void AccumulateWeightGradient(const device::Device& device, const at::Tensor& dy, const at::Tensor& x,
                              const at::Tensor& gradient);

}  // namespace mixln::worker::trainer::model
