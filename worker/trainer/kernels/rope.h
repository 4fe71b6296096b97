#pragma once

#include <cstdint>
#include <vector>

#include "worker/trainer/kernels/bf16.h"

namespace mixln::worker::trainer::kernels {

// Rotary position embedding (Su et al. 2021) in Hugging Face's layout: element i of a head's first half is
// paired with element i of its second half. Angles are computed in fp32, as Hugging Face's are.
struct RopeTable {
  RopeTable(int64_t context, int64_t head_size, double theta);
  int64_t half;            // of the head size
  std::vector<float> cos;  // [context, half]
  std::vector<float> sin;  // [context, half]
};

// The same table wherever it lies.
struct Rope {
  const float* cosines = nullptr;
  const float* sines = nullptr;
  int64_t half = 0;
};

// Rotates the first `heads` heads of rows [begin, end) in place; row r is at position r % time and `stride`
// elements behind the one before. `inverse` rotates back, which is the gradient.
void RotateRows(const Rope& table, float* rows, int64_t stride, int64_t heads, int64_t time, bool inverse,
                int64_t begin, int64_t end);
void RotateRows(const Rope& table, Bf16* rows, int64_t stride, int64_t heads, int64_t time, bool inverse,
                int64_t begin, int64_t end);

}  // namespace mixln::worker::trainer::kernels
