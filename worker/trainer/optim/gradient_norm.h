#pragma once

#include <vector>

#include "worker/trainer/device/device.h"
#include "worker/trainer/fsdp/collectives.h"
#include "worker/trainer/fsdp/unit.h"

namespace mixln::worker::trainer::optim {

// Sums the vectors' gradients over ranks; the matrices' are reduced by their units. All ranks call it
// together.
void SumVectorGradients(const std::vector<fsdp::Unit*>& units, fsdp::Collectives& ranks);

// Each unit's sum of squared gradients, over all ranks (`ranks` none: there is one).
std::vector<double> SquaredGradientNorms(const device::Device& device, const std::vector<fsdp::Unit*>& units,
                                         fsdp::Collectives* ranks);

// What to multiply gradients by so that their norm is at most `clip_norm`, as torch.nn.utils.clip_grad_norm_
// does; 1 where clip_norm is 0.
double ClipScale(double gradient_norm, double clip_norm);

}  // namespace mixln::worker::trainer::optim
