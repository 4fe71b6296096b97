#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "worker/trainer/kernels/clones.h"

// Eight floats in the compiler's own vector type: one register on AVX2, two on the baseline. Sums over a row
// keep 16 running lanes and add them up in a fixed order, whatever the machine's width.
namespace mixln::worker::trainer::kernels {

using Vector = float __attribute__((vector_size(32)));
inline constexpr int64_t kLanes = 8;

// Adds up value(0) … value(count - 1) in a fixed order.
template <typename Value>
MIXLN_INLINE float SumOf(int64_t count, Value value) {
  constexpr int64_t kWidth = 16;
  float lanes[kWidth] = {};
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
#pragma GCC unroll 1
    for (int64_t lane = 0; lane < kWidth; ++lane) lanes[lane] += value(i + lane);
  }
  for (; i < count; ++i) lanes[i % kWidth] += value(i);
  for (int64_t half = kWidth / 2; half > 0; half /= 2) {
    for (int64_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

// The largest of value(0) … value(count - 1); NaN values may be skipped.
template <typename Value>
MIXLN_INLINE float MaxOf(int64_t count, Value value) {
  constexpr int64_t kWidth = 16;
  float lanes[kWidth];
  std::fill(lanes, lanes + kWidth, value(0));
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    for (int64_t lane = 0; lane < kWidth; ++lane) {
      const float candidate = value(i + lane);
      lanes[lane] = candidate > lanes[lane] ? candidate : lanes[lane];
    }
  }
  for (; i < count; ++i) lanes[0] = std::max(lanes[0], value(i));
  return *std::max_element(lanes, lanes + kWidth);
}

// e^x to about 1 unit in the last place, for x in [-87, 88]; clamped outside. Vectorizes, which std::exp does
// not. Cephes' expf: x = n·ln 2 + r, and a polynomial of degree 5 in r.
MIXLN_INLINE float Exp(float x) {
  x = x < -87.0F ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  constexpr float kRound = 12582912.0F;  // 1.5·2^23: adding it rounds to an integer
  const float shifted = x * 1.44269504088896341F + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const int32_t exponent =
      static_cast<int32_t>(std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(kRound));
  return p * std::bit_cast<float>(static_cast<uint32_t>(exponent + 127) << 23);
}

}  // namespace mixln::worker::trainer::kernels
