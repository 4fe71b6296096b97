// The comparison that a sweep was made for: one row for each combination of parameters, its seeds taken
// together.
#pragma once

#include <vector>

#include "mixln/v1/sweep.pb.h"
#include "mixln/v1/trial.pb.h"

namespace mixln::coordinator::results {

// Groups the trials of a sweep, given in grid order, by their parameters without train.seed. Means and the
// sample standard deviation (divisor n - 1) are over the trials whose final evaluation is in; a trial that
// diverged has none. Of a trial and those that try it again the newest counts, and only that one.
//
// Order: rows whose trials have all ended by mean perplexity, lowest first; then rows with a diverged trial,
// whose mean over the seeds that are left says too little; then ended rows without a result; then unfinished
// rows. The best row is the first one, if it is of the first kind.
v1::Results Compare(const v1::Sweep& sweep, const std::vector<const v1::Trial*>& trials);

}  // namespace mixln::coordinator::results
