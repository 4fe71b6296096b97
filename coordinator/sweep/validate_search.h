// Says what is wrong with how a sweep's cells are chosen.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/sweep/problem.h"
#include "mixln/v1/sweep.pb.h"

namespace mixln::coordinator::sweep {

// Of this strategy when a sweep file gives no other (Li et al. 2020 use 4 throughout).
inline constexpr int kDefaultReductionFactor = 4;

// Problems of the strategy and of what belongs to it; parameters are not looked at.
std::vector<Problem> ValidateSearch(const v1::SearchSpec& search);

// Why the parameter's values cannot come from the range that it gives, or from none; nullopt: they can. Its
// path must lead to a field that can be swept.
std::optional<std::string> RefuseRange(const v1::SearchSpec& search, const v1::Parameter& parameter);

// Problems between the strategy and a trial, such as a rung at which nothing is evaluated. `search` is one
// that ValidateSearch accepts.
std::vector<Problem> RelateSearch(const v1::SearchSpec& search, const v1::TrialSpec& trial);

}  // namespace mixln::coordinator::sweep
