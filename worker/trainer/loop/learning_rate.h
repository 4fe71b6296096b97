// The learning rate of each update, as a pure function of the spec.
#pragma once

#include <cstdint>

#include "worker/trainer/config/config.h"

namespace mixln::worker::trainer::loop {

// Of update `update`, counted from 0. Warm-up: lr · update / warmup_steps, so the first is 0 (as the paper's
// code has it). Then the peak throughout; or a cosine from the peak at update `warmup_steps` to min_lr_ratio
// of it at the last update, `steps - 1`; or (WSD) the peak until decay_share · steps updates before the last,
// and from there a straight line to min_lr_ratio of it at the last.
double LearningRate(const config::Train& train, int64_t update);

}  // namespace mixln::worker::trainer::loop
