#pragma once

#include <cstdint>

#include "worker/trainer/kernels/bf16.h"

namespace mixln::worker::trainer::kernels {

// Softmax cross-entropy of `columns` classes. For each row writes its negative log-likelihood in nats to
// loss[row], 0 where mask (null: all count) is 0, and, where gradient_scale is not 0, replaces the row's
// logits by gradient_scale times the gradient.
void CrossEntropyRows(float* logits, const int64_t* targets, const uint8_t* mask, float gradient_scale,
                      double* loss, int64_t columns, int64_t begin, int64_t end);
void CrossEntropyRows(Bf16* logits, const int64_t* targets, const uint8_t* mask, float gradient_scale,
                      double* loss, int64_t columns, int64_t begin, int64_t end);

}  // namespace mixln::worker::trainer::kernels
