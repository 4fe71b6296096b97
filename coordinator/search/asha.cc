#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/search/search.h"

namespace mixln::coordinator::search {
namespace {

constexpr double kWorst = std::numeric_limits<double>::infinity();

// (loss, index): orders the trials at a rung, best first.
using Standing = std::pair<double, int>;

Standing StandingAt(const v1::Trial& trial, int rung) {
  const double loss = rung < trial.rungs_size() ? trial.rungs(rung).eval_loss() : kWorst;
  return {std::isfinite(loss) ? loss : kWorst, trial.index()};
}

bool Reached(const v1::Trial& trial, int rung) {
  return trial.rungs_size() > rung ||
         (trial.rungs_size() == rung && trial.state() == v1::TRIAL_STATE_DIVERGED);
}

}  // namespace

std::vector<int64_t> Rungs(const v1::SearchSpec& search, const v1::TrialSpec& spec) {
  std::vector<int64_t> rungs;
  const v1::AshaSpec& asha = search.asha();
  if (search.strategy() != v1::STRATEGY_ASHA || asha.min_steps() < 1 || asha.reduction_factor() < 2)
    return rungs;
  int64_t end = spec.train().steps();
  if (asha.max_steps() > 0) end = std::min(end, asha.max_steps());
  for (int64_t step = asha.min_steps(); step < end; step *= asha.reduction_factor()) {
    rungs.push_back(step);
    if (step > end / asha.reduction_factor()) break;  // the next one is beyond the end, and may overflow
  }
  return rungs;
}

bool IsRung(const v1::SearchSpec& search, const v1::TrialSpec& spec, int64_t step) {
  const std::vector<int64_t> rungs = Rungs(search, spec);
  return std::find(rungs.begin(), rungs.end(), step) != rungs.end();
}

std::optional<std::string> Judge(const v1::SearchSpec& search, const std::vector<const v1::Trial*>& trials,
                                 const v1::Trial& trial) {
  const int rung = trial.rungs_size() - 1;
  if (rung < 0) return std::nullopt;
  const Standing own = StandingAt(trial, rung);
  int reached = 0;
  int better = 0;
  for (const v1::Trial* other : trials) {
    if (!Reached(*other, rung)) continue;
    ++reached;
    if (StandingAt(*other, rung) < own) ++better;
  }
  const int go_on = std::max(1, reached / search.asha().reduction_factor());
  if (better < go_on && own.first < kWorst) return std::nullopt;
  return absl::StrCat("pruned at step ", trial.rungs(rung).step(), ": its evaluation loss of ",
                      absl::StrFormat("%.4f", trial.rungs(rung).eval_loss()), " is number ", better + 1,
                      " of ", reached, " there, and the best ", go_on, go_on == 1 ? " goes on" : " go on");
}

}  // namespace mixln::coordinator::search
