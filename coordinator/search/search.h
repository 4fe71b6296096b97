// Which trials of a sweep are given up early: a pure function of their rows, so that a restart of the
// coordinator changes no decision. Grid and random search give up none. How cells are chosen in the first
// place is in coordinator/sweep.
//
// ASHA (Li et al. 2020, arXiv 1810.05934) in its stopping form: a trial that reaches a rung goes on at once
// when its evaluation loss is among the best 1/reduction_factor of all that have reached that rung so far,
// and ends otherwise. (Algorithm 2 of the paper leaves it waiting instead, and may promote it later; here its
// slot goes to the next trial, and `mixlnctl resume` is how a user changes the verdict.) The best one at a
// rung always goes on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mixln/v1/sweep.pb.h"
#include "mixln/v1/trial.pb.h"

namespace mixln::coordinator::search {

// Steps at which trials are compared: min_steps * reduction_factor^k, below max_steps and the trial's own
// train.steps. Empty for strategies that compare none.
std::vector<int64_t> Rungs(const v1::SearchSpec& search, const v1::TrialSpec& spec);

bool IsRung(const v1::SearchSpec& search, const v1::TrialSpec& spec, int64_t step);

// Why the trial, whose last rung has just been noted, is given up; nullopt: it goes on. `trials` are all of
// the sweep, in any order, the trial itself included. Of equal losses the lower index counts as the better
// one. A loss that is no number, and a DIVERGED trial at the rung that it did not reach, count as worse than
// all others.
std::optional<std::string> Judge(const v1::SearchSpec& search, const std::vector<const v1::Trial*>& trials,
                                 const v1::Trial& trial);

}  // namespace mixln::coordinator::search
