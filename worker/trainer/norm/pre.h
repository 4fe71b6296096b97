#pragma once

#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::norm {

// Pre-LN: x' = x + f(N(x)), the placement of LLaMA (Touvron et al. 2023, section 2.2). Matrices start as N(0,
// init_std), norm weights as 1.
LayerForm PreForm();

}  // namespace mixln::worker::trainer::norm
