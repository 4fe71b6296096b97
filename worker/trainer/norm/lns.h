#pragma once

#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::norm {

// LayerNorm Scaling: x' = x + f(N(x)/√l) in both sublayers of layer l, counted from 1 (Sun et al. 2025, arXiv
// 2502.05795, section 4). Starts as Pre-LN. `layer`: l − 1.
LayerForm LnsForm(int layer);

}  // namespace mixln::worker::trainer::norm
