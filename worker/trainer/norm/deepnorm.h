#pragma once

#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::norm {

// DeepNorm: x' = N(c·x + f(x)) with c = (2L)^¼ (Wang et al. 2022, arXiv 2203.00555, figure 2, decoder-only).
// Matrices start Xavier-normal, with gain (8L)^−¼ for v, o, gate, up and down and 1 for q and k: the standard
// deviation is gain·√(2/(rows + columns)). Norm weights start as 1. `layers`: L.
LayerForm DeepNormForm(int layers);

}  // namespace mixln::worker::trainer::norm
