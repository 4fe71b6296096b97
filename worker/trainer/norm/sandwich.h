#pragma once

#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::norm {

// Sandwich-LN, also called Peri-LN: x' = x + N₂(f(N₁(x))), a norm before and one behind each sublayer (Ding
// et al. 2021, CogView, arXiv 2105.13290; Kim et al. 2025, arXiv 2502.02732, whose norm of the embedding is
// left out). Matrices start as N(0, init_std), norm weights as 1.
LayerForm SandwichForm();

}  // namespace mixln::worker::trainer::norm
