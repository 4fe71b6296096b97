#pragma once

#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::norm {

// Post-LN: x' = N(x + f(x)), the placement of the first transformer (Vaswani et al. 2017, section 3.1).
// Matrices start as N(0, init_std), norm weights as 1.
LayerForm PostForm();

}  // namespace mixln::worker::trainer::norm
