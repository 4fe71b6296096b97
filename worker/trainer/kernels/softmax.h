#pragma once

#include <cstdint>

#include "worker/trainer/kernels/bf16.h"

// The parts of causal softmax attention between its products.
namespace mixln::worker::trainer::kernels {

// Scores of `rows` queries, of which the first is number `first_query` and sees the keys up to its own
// number.
struct ScoreRows {
  const float* scores = nullptr;  // [rows, keys], not scaled
  int64_t stride = 0;
  int64_t rows = 0;
  int64_t first_query = 0;
  float scale = 1.0F;
};

// probability = e^(scale·score − largest) where the key is seen, else 0, up to `keys` of them; their sum's
// inverse [rows], and the log-sum-exp of the scaled scores [rows].
void SoftmaxRows(const ScoreRows& rows, int64_t keys, float* probability, int64_t stride, float* inverse_sum,
                 float* lse);
void SoftmaxRows(const ScoreRows& rows, int64_t keys, Bf16* probability, int64_t stride, float* inverse_sum,
                 float* lse);

// A block of transposed scores and of the gradients of the probabilities: row r is key number first + r,
// column c query number first + c, which has seen it if c ≥ r.
struct ScoreBlock {
  const float* scores = nullptr;     // [keys, queries], not scaled
  const float* gradients = nullptr;  // the same
  int64_t stride = 0;
  int64_t keys = 0;
  int64_t queries = 0;
  const float* lse = nullptr;    // [queries]
  const float* delta = nullptr;  // [queries]: Σ of output ∘ its gradient
  float scale = 1.0F;
};

// probability = e^(scale·score − lse) and score_gradient = scale·probability∘(gradient − delta), 0 where the
// query has not seen the key, and up to `width` (Dao et al. 2022, appendix B.2).
void SoftmaxBlockBackward(const ScoreBlock& block, int64_t width, float* probability, float* score_gradient,
                          int64_t stride);
void SoftmaxBlockBackward(const ScoreBlock& block, int64_t width, Bf16* probability, Bf16* score_gradient,
                          int64_t stride);

// to[row] = factor[row]·from[row], of `rows` rows of `columns`.
void ScaleRows(const float* from, const float* factor, int64_t rows, int64_t columns, float* to,
               int64_t to_stride);
void ScaleRows(const float* from, const float* factor, int64_t rows, int64_t columns, Bf16* to,
               int64_t to_stride);

// dots[row] = Σ x[row]∘y[row].
void RowDots(const float* x, const float* y, int64_t stride, int64_t rows, int64_t columns, float* dots);
void RowDots(const Bf16* x, const Bf16* y, int64_t stride, int64_t rows, int64_t columns, float* dots);

}  // namespace mixln::worker::trainer::kernels
