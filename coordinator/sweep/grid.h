// The points of a sweep: counted, weighed and walked without ever holding them all. A point is a combination
// of the parameters' values, or a draw.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "mixln/v1/sweep.pb.h"

namespace mixln::coordinator::sweep {

// Number of points before any are merged; INT64_MAX when they are more than that. A grid without
// parameters: 1.
int64_t CountPoints(const v1::SearchSpec& search);

// Estimate of the memory that all cells take, in bytes, from above; INT64_MAX when it is more than that.
int64_t EstimateBytes(const v1::SweepSpec& spec);

// Whether a sweep is small enough to be walked and expanded: at most kMaxGrid points and kMaxGridBytes.
bool IsWithinLimits(const v1::SweepSpec& spec);

// The sweep in which each parameter's values are those that it takes: the same for combinations; for draws,
// value i is that of draw i. `spec` must be IsWithinLimits and its distributions in order.
v1::SweepSpec WithDraws(const v1::SweepSpec& spec);

// A point: for each parameter the number of its value.
using Point = std::vector<int>;

// Calls `visit` for each point, with the base trial in which the point's values are set: draws by number,
// combinations with the last parameter fastest. Ends when it returns false. False when a path or a value
// cannot be set; `spec` is one that WithDraws gave.
bool ForEachPoint(const v1::SweepSpec& spec,
                  const std::function<bool(const Point&, const v1::TrialSpec&)>& visit);

// `norm.alpha=0.25, train.seed=1`.
std::string Describe(const v1::SearchSpec& search, const Point& point);

}  // namespace mixln::coordinator::sweep
