// Which slots are taken, derived from the trials' live attempts and from what workers still have to stop.
#pragma once

#include <map>
#include <string>

#include "coordinator/state/state.h"

namespace mixln::coordinator::state {

// The taken slots of one worker.
struct TakenSlots {
  std::map<int, std::string> trial_by_slot;  // index of the slot -> id of the trial whose rank has it
  bool unknown = false;  // it also has ranks of an attempt that is not on record: any slot may be theirs
};

// Taken slots by worker id; a worker that is missing has all its slots free. A slot is taken from the
// assignment on until the worker has said that the ranks have ended, or was lost; one that comes back says
// what it still has.
std::map<std::string, TakenSlots> TakenSlotsByWorker(const State& state);

}  // namespace mixln::coordinator::state
