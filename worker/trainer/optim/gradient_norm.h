#pragma once

#include <vector>

#include "worker/trainer/fsdp/unit.h"

namespace mixln::worker::trainer::optim {

// Each unit's sum of squared gradients. Fixed blocks: the same bits whatever the number of threads.
std::vector<double> SquaredGradientNorms(const std::vector<fsdp::Unit*>& units);

// What to multiply gradients by so that their norm is at most `clip_norm`, as torch.nn.utils.clip_grad_norm_
// does; 1 where clip_norm is 0.
double ClipScale(double gradient_norm, double clip_norm);

}  // namespace mixln::worker::trainer::optim
