// From a sweep to its cells: one resolved trial for each combination or draw.
#pragma once

#include <string>
#include <vector>

#include "mixln/v1/sweep.pb.h"

namespace mixln::coordinator::sweep {

struct Expansion {
  std::vector<v1::Cell> cells;     // in the order of ForEachPoint (grid.h); `index` counts them from 0
  std::vector<std::string> notes;  // remarks on the whole sweep, such as merged cells
};

// Expands a sweep that Validate accepts; a grid without parameters is one cell. Points that resolve to the
// same trial but for norm.alpha, such as two alphas with one number of post layers, become one cell, the
// first, and are noted. For a sweep that Validate refuses the result is unspecified, or empty where it could
// not be computed in bounded memory.
Expansion Expand(const v1::SweepSpec& spec);

}  // namespace mixln::coordinator::sweep
