// Ending trials that a search strategy gives up. Internal to control.
#pragma once

#include "coordinator/control/context.h"

namespace mixln::coordinator::control {

// The trial was evaluated after `step` updates. At a rung of its sweep's strategy that it had not reached
// before, the loss is noted in its row and, in the same step, judged: a trial that is given up stops with a
// checkpoint and becomes PRUNED. One that a user resumed after it was pruned is not judged again.
void JudgeAtRung(Context& context, v1::Trial& trial, int64_t step, double eval_loss);

}  // namespace mixln::coordinator::control
