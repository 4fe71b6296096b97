// The pure core of the control plane: what happens next, as a function of what is known, what happened, and
// the time.
//
// The shell calls Step for one event after another, stores the changed rows of a batch in one transaction,
// and only then sends the commands and answers the callers. When the transaction fails it throws the state
// away, loads it again, calls Recover and ends all streams; so everything that is not stored is learnt again
// from the workers' hellos.
#pragma once

#include "base/time/time.h"
#include "coordinator/control/decision.h"
#include "coordinator/control/event.h"
#include "coordinator/control/options.h"
#include "coordinator/state/state.h"

namespace mixln::coordinator::control {

// Applies the event to the state in memory. Deterministic. Raises State::revision when a row changed.
//
// The reason of a waiting trial is written to the state, at the next Tick, but not counted as a change: it is
// found anew after a restart.
Decision Step(state::State& state, const Event& event, base::Now now, const Options& options = {});

// Makes a freshly loaded state ready: every worker is UNKNOWN and has reconnect_grace to come back; until
// then the live attempts are taken to go on. Changes no stored row that Step would not change again.
void Recover(state::State& state, base::Now now, const Options& options = {});

}  // namespace mixln::coordinator::control
