#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "worker/trainer/kernels/bf16.h"
#include "worker/trainer/kernels/clones.h"

// Sixteen floats in the compiler's own vector type: one register on AVX-512, two on AVX2, four on the
// baseline.
namespace mixln::worker::trainer::kernels {

using Vector = float __attribute__((vector_size(64)));
inline constexpr int64_t kLanes = 16;

// Adds up value(0) … value(count - 1), in an order that depends on the instruction set only.
template <typename Value>
MIXLN_INLINE float SumOf(int64_t count, Value value) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) sum += value(i);
  return sum;
}

// Reads and writes of sixteen floats at any address.
using UnalignedVector = float __attribute__((vector_size(64), aligned(4), may_alias));
#define MIXLN_LOAD_VECTOR(from) \
  (*reinterpret_cast<const ::mixln::worker::trainer::kernels::UnalignedVector*>(from))
#define MIXLN_STORE_VECTOR(to) (*reinterpret_cast<::mixln::worker::trainer::kernels::UnalignedVector*>(to))

MIXLN_INLINE void StoreVector(const Vector& from, float* to) {
  MIXLN_STORE_VECTOR(to) = from;
}

// Rounds to nearest, ties to even, as Store does; but what is no number need not stay one.
MIXLN_INLINE void StoreVector(const Vector& from, Bf16* to) {
  using Words = uint32_t __attribute__((vector_size(64)));
  using Halves = uint16_t __attribute__((vector_size(32)));
  using UnalignedHalves = uint16_t __attribute__((vector_size(32), aligned(2), may_alias));
  const Words bits = (Words)from;
  const Words rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  *reinterpret_cast<UnalignedHalves*>(to) = __builtin_convertvector(rounded, Halves);
}

// The largest of a row of at least one; NaN elements may be skipped.
MIXLN_INLINE float MaxRow(const float* row, int64_t count) {
  Vector lanes = Vector{} + row[0];
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vector x = MIXLN_LOAD_VECTOR(row + i);
    lanes = x > lanes ? x : lanes;
  }
  float max = lanes[0];
  for (int64_t lane = 1; lane < kLanes; ++lane) max = lanes[lane] > max ? lanes[lane] : max;
  for (; i < count; ++i) max = row[i] > max ? row[i] : max;
  return max;
}

// sum + the lanes, one after the other.
MIXLN_INLINE float AddLanes(float sum, const Vector& lanes) {
  for (int64_t lane = 0; lane < kLanes; ++lane) sum += lanes[lane];
  return sum;
}

// x = e^x to about 1 unit in the last place, for x in [-87, 88]; clamped outside. NaN stays NaN. In vectors
// by hand: the compiler makes branches of a scalar one. Cephes' expf: x = n·ln 2 + r, and a polynomial in r.
MIXLN_INLINE void ExpInPlace(Vector& x) {
  using Bits = int32_t __attribute__((vector_size(64)));
  const Vector low = Vector{} - 87.0F;
  const Vector high = Vector{} + 88.0F;
  x = x < low ? low : x;
  x = x > high ? high : x;
  const Vector round = Vector{} + 12582912.0F;  // 1.5·2^23: adding it rounds to an integer
  const Vector shifted = x * 1.44269504088896341F + round;
  const Vector n = shifted - round;
  const Vector r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  Vector p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + (r + 1.0F);
  const Bits power = ((Bits)shifted - (Bits)round + 127) << 23;
  x = p * (Vector)power;
}

// e^x of one number, with the same bits as in a vector.
MIXLN_INLINE float Exp(float x) {
  Vector v = Vector{} + x;
  ExpInPlace(v);
  return v[0];
}

// row[j] = e^(row[j] − shift).
MIXLN_INLINE void ExpRow(float* row, float shift, int64_t count) {
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    Vector x = MIXLN_LOAD_VECTOR(row + j) - shift;
    ExpInPlace(x);
    MIXLN_STORE_VECTOR(row + j) = x;
  }
  for (; j < count; ++j) row[j] = Exp(row[j] - shift);
}

// row[j] = e^(row[j] − shift), and their sum: in fp32 over pieces, in fp64 over those.
MIXLN_INLINE double ExpAndSumRow(float* row, float shift, int64_t count) {
  constexpr int64_t kPiece = 64 * kLanes;
  double sum = 0;
  for (int64_t first = 0; first < count; first += kPiece) {
    const int64_t end = std::min(count, first + kPiece);
    Vector lanes{};
    float rest = 0;
    int64_t j = first;
    for (; j + kLanes <= end; j += kLanes) {
      Vector x = MIXLN_LOAD_VECTOR(row + j) - shift;
      ExpInPlace(x);
      lanes += x;
      MIXLN_STORE_VECTOR(row + j) = x;
    }
    for (; j < end; ++j) rest += row[j] = Exp(row[j] - shift);
    sum += static_cast<double>(AddLanes(rest, lanes));
  }
  return sum;
}

}  // namespace mixln::worker::trainer::kernels
