// Tells a run that has collapsed: it still computes finite numbers, but it ignores its input and only knows
// how frequent each token is. Such a run does not come back, and would train on for hours.
//
// What is judged is a step's excess: its loss minus that of the training data's unigram model on the same
// targets. Both see the same batch, so the noise of the batches cancels: the excess of a collapsed run stays
// within hundredths of a nat where its loss moves by tenths. A healthy run falls through 0 and does not stop
// there. docs/collapse.md has the measurements behind the numbers.
#pragma once

#include <cstdint>
#include <string>

#include "worker/trainer/checkpoint/manifest.h"
#include "worker/trainer/config/config.h"

namespace mixln::worker::trainer::loop {

// What one update showed; losses in nats a token.
struct ObservedLoss {
  int64_t step = 0;         // from 1
  double loss = 0;          // of the global batch
  double unigram_loss = 0;  // of the same targets
  double entropy = 0;       // of the training data's unigram model
};

// Steps of a block: excesses are judged as means over blocks of 2% of the run, at least 5 steps.
int64_t CollapseBlockSteps(const config::Train& train);

// Takes the next update. Returns why the run has collapsed, as of its step; empty: it has not. Pure but for
// `history`, which a checkpoint keeps, so that a resumed run judges as an uninterrupted one.
//
// At the end of a block, the last four blocks (8% of the run) are a plateau when their excess no longer
// falls: by less than a fifth from the first two to the last two. A run that had learned has collapsed on a
// plateau where it lost nine tenths of what it had learned, its lowest excess, at any time. One that had not
// learned yet has collapsed on a plateau within 0.15 nats of the unigram model, after warm-up and while its
// learning rate is at least half of the peak: a slow run's excess still falls there. That holds only with a
// layer that norms the stream itself (post, deepnorm, admin): others rest there and go on to learn.
std::string Collapse(const config::Norm& norm, const config::Train& train, const ObservedLoss& observed,
                     checkpoint::LossHistory& history);

}  // namespace mixln::worker::trainer::loop
