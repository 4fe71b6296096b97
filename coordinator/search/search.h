// What a strategy decides, all of it as pure functions of a sweep's spec and the rows of its trials, so that
// a restart of the coordinator, or asking again elsewhere, changes no decision:
//
//           which cells there are                      which trials are given up early
//   grid    every combination of the values            none
//   random  `samples` draws                            none
//   asha    `samples` draws, or every combination      those that are worse than others at the same step
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

// Whether cells are drawn: random, and asha with samples. Else they are every combination of the values.
bool IsDrawn(const v1::SearchSpec& search);

// What the parameter is in each of the sweep's `samples` draws, spelt as in a sweep file. `whole`: it takes
// whole numbers only. A function of sweep.seed, the parameter's path, what it is drawn from, and the draw's
// number: more samples or another parameter beside it leave it as it is. Numbers have 6 significant digits,
// which hides the last bits of other machines' logarithms. The parameter has values, or a distribution whose
// ends are in order (above 0 for a log-uniform one) and, if whole, within 2^53 of 0.
std::vector<std::string> Draw(const v1::SearchSpec& search, const v1::Parameter& parameter, bool whole);

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
