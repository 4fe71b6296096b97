// The points of a sweep's grid: counted, weighed and walked without ever holding them all.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "mixln/v1/sweep.pb.h"

namespace mixln::coordinator::sweep {

// Points of the grid, before any are merged; INT64_MAX when they are more than that. Without parameters: 1.
int64_t CountPoints(const v1::SearchSpec& search);

// Estimate of the memory that all cells take, in bytes, from above; INT64_MAX when it is more than that.
int64_t EstimateBytes(const v1::SweepSpec& spec);

// Whether a grid is small enough to be walked and expanded: at most kMaxGrid points and kMaxGridBytes.
bool IsWithinLimits(const v1::SweepSpec& spec);

// A point: for each parameter the number of its value.
using Point = std::vector<int>;

// Calls `visit` for each point in grid order, the last parameter fastest, with the base trial in which the
// point's values are set; ends when it returns false. False when a path or a value of the grid cannot be set;
// `spec` must be IsWithinLimits.
bool ForEachPoint(const v1::SweepSpec& spec,
                  const std::function<bool(const Point&, const v1::TrialSpec&)>& visit);

// `norm.alpha=0.25, train.seed=1`.
std::string Describe(const v1::SearchSpec& search, const Point& point);

}  // namespace mixln::coordinator::sweep
