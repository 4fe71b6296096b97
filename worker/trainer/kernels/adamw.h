#pragma once

#include <cstdint>

#include "worker/trainer/kernels/bf16.h"

namespace mixln::worker::trainer::kernels {

// One AdamW update (Loshchilov and Hutter 2019, algorithm 2, with torch.optim.AdamW's order of operations).
struct AdamWStep {
  float lr = 0;
  float beta1 = 0;
  float beta2 = 0;
  float eps = 0;
  float decay = 0;           // weight decay; 0 for norm weights
  float gradient_scale = 1;  // of clipping
  double correction1 = 1;    // 1 − beta1^t
  double correction2 = 1;    // 1 − beta2^t
};

// Updates `count` elements and zeroes their gradients. `compute`, unless null, gets the new weights in bf16.
void AdamWUpdate(const AdamWStep& step, float* weight, float* gradient, float* exp_avg, float* exp_avg_sq,
                 Bf16* compute, int64_t count);

// Σ x², summed in fp32 over fixed blocks and in fp64 over those.
double SumOfSquares(const float* x, int64_t count);

// Σ (x − y)², likewise.
double SumOfSquaredDifferences(const float* x, const float* y, int64_t count);

}  // namespace mixln::worker::trainer::kernels
