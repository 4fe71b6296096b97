#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "worker/trainer/fsdp/collectives.h"

namespace mixln::worker::trainer::optim {

// Each unit's ‖after − before‖₂ / ‖before‖₂ over all ranks (`ranks` none: there is one): weight decay is part
// of the update. `movements` [units, 2] is what AdamW has added to zeros on this rank. 0 for a unit whose
// parameters were all zeros. All ranks call it together.
std::vector<double> UpdateRatios(const at::Tensor& movements, fsdp::Collectives* ranks);

}  // namespace mixln::worker::trainer::optim
