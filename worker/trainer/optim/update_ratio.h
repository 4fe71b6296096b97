#pragma once

#include <vector>

#include "worker/trainer/fsdp/collectives.h"

namespace mixln::worker::trainer::optim {

// What one update did to the parameters of a unit, from before to after it.
struct Movement {
  double update = 0;  // Σ (after − before)²
  double weight = 0;  // Σ before²
};

// Each unit's ‖after − before‖₂ / ‖before‖₂ over all ranks (`ranks` none: there is one): weight decay is part
// of the update. 0 for a unit whose parameters were all zeros. All ranks call it together.
std::vector<double> UpdateRatios(const std::vector<Movement>& movements, fsdp::Collectives* ranks);

}  // namespace mixln::worker::trainer::optim
