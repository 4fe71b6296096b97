#pragma once

#include <cstdint>

#include "worker/trainer/kernels/bf16.h"

// RMSNorm (Zhang and Sennrich 2019): y = scale · weight ∘ x / sqrt(mean(x²) + eps), over rows of `columns`
// elements. A LayerNorm (Ba et al. 2016) without a bias is the RMSNorm of x − mean(x): `centered`. A norm of
// groups of channels is one over rows of a group's columns, whose weights repeat every `weight_rows` rows.
namespace mixln::worker::trainer::kernels {

// sum = stream_scale·x + branch where `branch` is not null, else x, centered if asked; y is the norm of sum.
// Writes sum (unless it is x itself), y, and 1/sqrt(mean + eps) of each row.
struct RmsNormForward {
  const float* x = nullptr;
  float stream_scale = 1.0F;
  const float* weight = nullptr;  // [weight_rows, columns]
  float scale = 1.0F;
  float eps = 0.0F;
  bool centered = false;
  int64_t columns = 0;
  int64_t weight_rows = 1;
  float* sum = nullptr;
  float* inverse_rms = nullptr;
};
void NormRows(const RmsNormForward& norm, const float* branch, float* y, int64_t begin, int64_t end);
void NormRows(const RmsNormForward& norm, const Bf16* branch, Bf16* y, int64_t begin, int64_t end);
void NormRows(const RmsNormForward& norm, const Bf16* branch, float* y, int64_t begin, int64_t end);

// dx = residual_scale·residual (where not null) + the gradient of y with respect to the norm's input. Adds to
// weight_gradient[weight_rows, columns] the rows' share of the weight's gradient.
struct RmsNormBackward {
  const float* x = nullptr;  // the norm's input, centered if it was
  const float* inverse_rms = nullptr;
  const float* weight = nullptr;
  float scale = 1.0F;
  bool centered = false;
  const float* residual = nullptr;
  float residual_scale = 1.0F;
  int64_t columns = 0;
  int64_t weight_rows = 1;
  float* dx = nullptr;
};
void NormRowsBackward(const RmsNormBackward& norm, const float* dy, float* weight_gradient, int64_t begin,
                      int64_t end);
void NormRowsBackward(const RmsNormBackward& norm, const Bf16* dy, float* weight_gradient, int64_t begin,
                      int64_t end);

}  // namespace mixln::worker::trainer::kernels
