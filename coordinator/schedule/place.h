// Gang placement: which waiting trials get slots now, and why the others wait. Pure functions of the state.
//
// All ranks of a trial are placed or none. One trial goes before another by priority, then fair share (the
// sweep with fewer live trials), then age (the older sweep, then grid order). A gang takes the one host that
// it fills best, else the fewest hosts. The first trial that does not fit keeps the free slots of its kind
// for itself until it does; later trials may only fill what it cannot use: slots of another kind, or any slot
// when the present workers together could not hold it even if they were idle. So a small trial never delays a
// large one.
//
// Where workers have artifacts folders of their own, a trial with a checkpoint goes to workers that see it,
// and until State::checkpoint_until to no others; all that is said above holds for it among those.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/time/time.h"
#include "coordinator/state/state.h"

namespace mixln::coordinator::schedule {

// A trial that gets slots now, one for each rank, in the order of the ranks.
struct Assignment {
  std::string trial_id;
  std::vector<v1::RankPlacement> ranks;
};

// The assignments to make now, in their order. Trials that wait for a back-off (State::not_before later than
// `steady`) take no part. Only READY workers with a live session take new trials.
//
// Looks at no more trials than it must: nobody is asked once no slot is left to take.
std::vector<Assignment> Place(const state::State& state, base::Time steady);

// Why each PENDING trial that Place would leave where it is waits, by trial id; none for a back-off. Looks at
// all of them.
std::map<std::string, std::string> Explain(const state::State& state, base::Time steady);

// INVALID_ARGUMENT when a trial with this spec could never be placed, because all workers that were ever
// known together offer fewer slots of its kind than it has ranks. OK while no worker is known: the trial
// waits and says so.
absl::Status Fits(const state::State& state, const v1::TrialSpec& spec);

}  // namespace mixln::coordinator::schedule
