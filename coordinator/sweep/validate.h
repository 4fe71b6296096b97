// Says everything that is wrong with a sweep before anything starts. The coordinator calls it on what clients
// send, so it takes any message, also a hostile one: it allocates nothing in proportion to the size of the
// grid.
#pragma once

#include <string>
#include <vector>

#include "coordinator/sweep/problem.h"
#include "mixln/v1/sweep.pb.h"

namespace mixln::coordinator::sweep {

// Problems by field path, without file, line and column; at most 100 of them. Empty: Expand gives every cell
// of the sweep, each of which can be trained as far as a spec can tell. Problems of a swept value have the
// path sweep.parameters.<path>[<number of the value, from 0>]. `allow_large` admits more than 10,000 cells
// (kLargeGrid).
std::vector<Problem> Validate(const std::string& name, const v1::SweepSpec& spec, bool allow_large);

}  // namespace mixln::coordinator::sweep
