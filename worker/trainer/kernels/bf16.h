#pragma once

#include <bit>
#include <cstdint>

#include "worker/trainer/kernels/clones.h"

namespace mixln::worker::trainer::kernels {

// A bfloat16 as its bits: the same 16 bits as at::BFloat16, without LibTorch's headers.
struct Bf16 {
  uint16_t bits;
};

// The same, where it is to become a float as it is packed: for products on CPUs that have none of bf16.
struct WidenedBf16 {
  uint16_t bits;
};

MIXLN_INLINE float Load(const float* from) {
  return *from;
}
MIXLN_INLINE float Load(const Bf16* from) {
  return std::bit_cast<float>(static_cast<uint32_t>(from->bits) << 16);
}

MIXLN_INLINE void Store(float value, float* to) {
  *to = value;
}

// Rounds to nearest, ties to even; a NaN stays one.
MIXLN_INLINE void Store(float value, Bf16* to) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  to->bits = static_cast<uint16_t>(value != value ? 0x7FC0U : rounded);
}

}  // namespace mixln::worker::trainer::kernels
