// Says what is wrong with one trial.
#pragma once

#include <vector>

#include "coordinator/sweep/problem.h"
#include "mixln/v1/spec.pb.h"

namespace mixln::coordinator::sweep {

// Problems of single fields: numbers out of their range, enum values that do not exist, texts that name
// nothing. `spec` is not yet resolved, but FillDefaults was called on it.
std::vector<Problem> ValidateFields(const v1::TrialSpec& spec);

// Problems between fields, such as heads that do not divide hidden_size; fields that ValidateFields refuses
// are not looked at. Cheap: no allocation when there is no problem, but for the length of
// norm.layer_placements.
std::vector<Problem> ValidateRelations(const v1::TrialSpec& spec);

}  // namespace mixln::coordinator::sweep
