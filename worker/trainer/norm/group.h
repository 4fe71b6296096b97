#pragma once

#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::norm {

// Pre-LN whose norms treat kGroups groups of neighbouring channels alone: x' = x + f(N(x)), where N divides
// each token's hidden/kGroups channels of a group by the group's own root mean square; the weight is one a
// channel (a comparison of the Mix-LN paper, arXiv 2412.13795). Per token: statistics over time, as
// torch.nn.GroupNorm takes them, would leak the future. Starts as Pre-LN. kGroups must divide the hidden
// size.
inline constexpr int kGroups = 8;

LayerForm GroupForm();

}  // namespace mixln::worker::trainer::norm
