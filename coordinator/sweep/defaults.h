// Every default of a sweep file, in one place. docs/sweep-file.md lists them; a test compares the two.
#pragma once

#include "mixln/v1/spec.pb.h"

namespace mixln::coordinator::sweep {

// A trial in which every field that has a default holds it. Fields without one are zero, empty or absent: the
// model's shape, data.source, data.tokenizer, train.steps, train.batch.sequences, train.lr and
// train.warmup_steps.
v1::TrialSpec Defaults();

// Fills in what can be seen to be missing in a message: enums that are UNSPECIFIED and messages that are
// absent. (A number that is zero may be meant.) norm.placement stays UNSPECIFIED beside
// norm.layer_placements, which decide it.
void FillDefaults(v1::TrialSpec& spec);

}  // namespace mixln::coordinator::sweep
