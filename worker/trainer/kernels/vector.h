#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "worker/trainer/kernels/bf16.h"
#include "worker/trainer/kernels/clones.h"

// Arithmetic on a register of floats in the compiler's own vector types. `L` is Lanes<…> throughout.
namespace mixln::worker::trainer::kernels {

// `kLanes` floats. They must fill a register of the CPU, not more: GCC takes comparisons of wider vectors
// apart, a float at a time, which makes e^x six times as slow.
template <int64_t kLanes>
struct Lanes {
  static constexpr int64_t kCount = kLanes;
  static constexpr int64_t kBytes = kLanes * static_cast<int64_t>(sizeof(float));
  using Vector [[gnu::vector_size(kBytes)]] = float;
  using Unaligned [[gnu::vector_size(kBytes), gnu::aligned(4), gnu::may_alias]] = float;
  using Integers [[gnu::vector_size(kBytes)]] = int32_t;
  using Words [[gnu::vector_size(kBytes)]] = uint32_t;
  using Halves [[gnu::vector_size(kBytes / 2)]] = uint16_t;
  using UnalignedHalves [[gnu::vector_size(kBytes / 2), gnu::aligned(2), gnu::may_alias]] = uint16_t;
};

// Whether MIXLN_CLONES picks what it has compiled for AVX-512.
inline bool HasAvx512() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("x86-64-v4") != 0;
  return has;
#else
  return false;
#endif
}

// Calls work(Lanes<…>{}) for this CPU. `work` must be MIXLN_INLINE to be compiled along with its clone.
template <typename Work>
MIXLN_INLINE void WithLanes(Work work) {
  if (HasAvx512()) {
    work(Lanes<16>{});
  } else {
    work(Lanes<8>{});
  }
}

// Adds up value(0) … value(count - 1), in an order that depends on the instruction set only.
template <typename Value>
MIXLN_INLINE float SumOf(int64_t count, Value value) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) sum += value(i);
  return sum;
}

// Reads and writes at any address.
template <typename L>
MIXLN_INLINE void LoadVector(const float* from, typename L::Vector& to) {
  to = *reinterpret_cast<const typename L::Unaligned*>(from);
}
template <typename L>
MIXLN_INLINE void StoreVector(const typename L::Vector& from, float* to) {
  *reinterpret_cast<typename L::Unaligned*>(to) = from;
}
// Rounds to nearest, ties to even, as Store does; but what is no number need not stay one.
template <typename L>
MIXLN_INLINE void StoreVector(const typename L::Vector& from, Bf16* to) {
  using Words = typename L::Words;
  const Words bits = (Words)from;
  const Words rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  *reinterpret_cast<typename L::UnalignedHalves*>(to) = __builtin_convertvector(rounded, typename L::Halves);
}

// Reads the first `count` lanes; the others are 0.
template <typename L>
MIXLN_INLINE void LoadSome(const float* from, int64_t count, typename L::Vector& to) {
  to = typename L::Vector{};
  for (int64_t lane = 0; lane < count; ++lane) to[lane] = from[lane];
}

// Writes lanes [begin, end).
template <typename L, typename T>
MIXLN_INLINE void StoreSome(const typename L::Vector& from, int64_t begin, int64_t end, T* to) {
  for (int64_t lane = begin; lane < end; ++lane) Store(from[lane], to + lane);
}

// The largest of a row of at least one; NaN elements may be skipped.
template <typename L>
MIXLN_INLINE float MaxRow(const float* row, int64_t count) {
  typename L::Vector lanes = typename L::Vector{} + row[0];
  int64_t i = 0;
  for (; i + L::kCount <= count; i += L::kCount) {
    typename L::Vector x;
    LoadVector<L>(row + i, x);
    lanes = x > lanes ? x : lanes;
  }
  float max = lanes[0];
  for (int64_t lane = 1; lane < L::kCount; ++lane) max = lanes[lane] > max ? lanes[lane] : max;
  for (; i < count; ++i) max = row[i] > max ? row[i] : max;
  return max;
}

// sum + the lanes, one after the other.
template <typename L>
MIXLN_INLINE float AddLanes(float sum, const typename L::Vector& lanes) {
  for (int64_t lane = 0; lane < L::kCount; ++lane) sum += lanes[lane];
  return sum;
}

// x = e^x to about 1 unit in the last place, for x in [-87, 88]; clamped outside. NaN stays NaN. In vectors
// by hand: the compiler makes branches of a scalar one. Cephes' expf: x = n·ln 2 + r, and a polynomial in r.
template <typename L>
MIXLN_INLINE void ExpInPlace(typename L::Vector& x) {
  using Vector = typename L::Vector;
  using Integers = typename L::Integers;
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
  const Integers power = ((Integers)shifted - (Integers)round + 127) << 23;
  x = p * (Vector)power;
}

// row[j] = e^(row[j] − shift), every element with the same bits wherever it stands.
template <typename L>
MIXLN_INLINE void ExpRow(float* row, float shift, int64_t count) {
  typename L::Vector x;
  int64_t j = 0;
  for (; j + L::kCount <= count; j += L::kCount) {
    LoadVector<L>(row + j, x);
    x -= shift;
    ExpInPlace<L>(x);
    StoreVector<L>(x, row + j);
  }
  if (j == count) return;
  LoadSome<L>(row + j, count - j, x);
  x -= shift;
  ExpInPlace<L>(x);
  StoreSome<L>(x, 0, count - j, row + j);
}

// row[j] = e^(row[j] − shift), and their sum: in fp32 over pieces, in fp64 over those.
template <typename L>
MIXLN_INLINE double ExpAndSumRow(float* row, float shift, int64_t count) {
  constexpr int64_t kPiece = 1024;
  double sum = 0;
  for (int64_t first = 0; first < count; first += kPiece) {
    const int64_t piece = std::min(kPiece, count - first);
    ExpRow<L>(row + first, shift, piece);
    sum += static_cast<double>(SumOf(piece, [=](int64_t i) { return row[first + i]; }));
  }
  return sum;
}

}  // namespace mixln::worker::trainer::kernels
