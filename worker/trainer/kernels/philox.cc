#include "worker/trainer/kernels/philox.h"

#include <algorithm>
#include <cmath>

#include "worker/trainer/kernels/clones.h"

namespace mixln::worker::trainer::kernels {
namespace {

// FNV-1a: which tensor, as part of the counter.
uint64_t HashOf(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash;
}

using Words = std::array<uint32_t, 4>;

MIXLN_INLINE Words TenRounds(Words counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = uint64_t{0xD2511F53} * counter[0];
    const uint64_t second = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(second >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(second),
               static_cast<uint32_t>(first >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(first)};
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return counter;
}

// Four numbers at once. Their arithmetic is written out here, and this file is compiled without contraction
// to fused operations, so that an element is the same bits on every CPU and with every libm.
constexpr int64_t kNumbers = 4;
using Numbers = double __attribute__((vector_size(32)));
using Integers = int64_t __attribute__((vector_size(32)));

// x = ln x, for normal positive numbers: fdlibm's e_log.c, to less than one unit in the last place.
MIXLN_INLINE void Log(Numbers& x) {
  const Integers bits = (Integers)x;
  Numbers mantissa = (Numbers)((bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000);
  // An integer below 2^52 as the low bits of a double, whose value is 2^52 more.
  Numbers exponent = (Numbers)((bits >> 52) | 0x4330000000000000) - (4503599627370496.0 + 1023.0);
  const Integers upper = mantissa > 1.4142135623730951;
  mantissa = upper ? mantissa * 0.5 : mantissa;
  exponent = upper ? exponent + 1.0 : exponent;
  const Numbers f = mantissa - 1.0;
  const Numbers s = f / (f + 2.0);
  const Numbers z = s * s;
  Numbers r = z * 1.479819860511658591e-01 + 1.531383769920937332e-01;
  r = r * z + 1.818357216161805012e-01;
  r = r * z + 2.222219843214978396e-01;
  r = r * z + 2.857142874366239149e-01;
  r = r * z + 3.999999999940941908e-01;
  r = r * z + 6.666666666666735130e-01;
  r *= z;
  const Numbers half_square = f * f * 0.5;
  x = exponent * 6.93147180369123816490e-01 -
      ((half_square - (s * (half_square + r) + exponent * 1.90821492927058770002e-10)) - f);
}

// The sine and cosine of 2π·turns, turns in [0, 1): fdlibm's k_sin.c and k_cos.c on [−π/4, π/4].
MIXLN_INLINE void SineAndCosine(const Numbers& turns, Numbers& sine, Numbers& cosine) {
  const Numbers shifted = turns * 4.0 + 6755399441055744.0;  // 1.5·2^52: adding it rounds to an integer
  const Integers quadrant = (Integers)shifted & 3;
  const Numbers x = (turns - (shifted - 6755399441055744.0) * 0.25) * 6.283185307179586;
  const Numbers z = x * x;
  Numbers s = z * 1.58969099521155010221e-10 - 2.50507602534068634195e-08;
  s = s * z + 2.75573137070700676789e-06;
  s = s * z - 1.98412698298579493134e-04;
  s = s * z + 8.33333333332248946124e-03;
  s = s * z - 1.66666666666666324348e-01;
  s = x + x * z * s;
  Numbers c = z * -1.13596475577881948265e-11 + 2.08757232129817482790e-09;
  c = c * z - 2.75573143513906633035e-07;
  c = c * z + 2.48015872894767294178e-05;
  c = c * z - 1.38888888888741095749e-03;
  c = c * z + 4.16666666666666019037e-02;
  c = 1.0 - (z * 0.5 - z * z * c);
  const Integers sine_bits = (Integers)s;
  const Integers swap = (sine_bits ^ (Integers)c) & -(quadrant & 1);
  sine = (Numbers)((sine_bits ^ swap) ^ (quadrant & 2) << 62);
  cosine = (Numbers)(((Integers)c ^ swap) ^ ((quadrant + 1) & 2) << 62);
}

// Uniform in (0, 1), never 0: a word's upper 24 bits and a half.
MIXLN_INLINE void Uniform(const uint32_t* words, Numbers& to) {
  using Halves = int32_t __attribute__((vector_size(16)));
  using Unaligned = int32_t __attribute__((vector_size(16), aligned(4), may_alias));
  const Halves upper = (*reinterpret_cast<const Unaligned*>(words) >> 8) & 0xFFFFFF;
  to = (__builtin_convertvector(upper, Numbers) + 0.5) * (1.0 / 16777216.0);
}

MIXLN_INLINE void SquareRoot(Numbers& x) {
  for (int64_t i = 0; i < kNumbers; ++i) x[i] = std::sqrt(x[i]);
}

constexpr int64_t kDrawn = 4 * kNumbers;

// Standard normal numbers [4·block, 4·block + kDrawn) of a tensor (Box and Muller 1958): words 0 and 1 of a
// block make its first two, words 2 and 3 the others.
MIXLN_INLINE void Draw(uint64_t block, uint64_t tensor, uint64_t seed, double* normals) {
  uint32_t words[4][kNumbers];
  for (int64_t i = 0; i < kNumbers; ++i) {
    const uint64_t number = block + static_cast<uint64_t>(i);
    const Words drawn = TenRounds({static_cast<uint32_t>(number), static_cast<uint32_t>(number >> 32),
                                   static_cast<uint32_t>(tensor), static_cast<uint32_t>(tensor >> 32)},
                                  static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
    for (size_t word = 0; word < 4; ++word) words[word][i] = drawn[word];
  }
  for (int pair = 0; pair < 4; pair += 2) {
    Numbers radius, turns, sine, cosine;
    Uniform(words[pair], radius);
    Uniform(words[pair + 1], turns);
    Log(radius);
    radius *= -2.0;
    SquareRoot(radius);
    SineAndCosine(turns, sine, cosine);
    for (int64_t i = 0; i < kNumbers; ++i) {
      normals[4 * i + pair] = radius[i] * cosine[i];
      normals[4 * i + pair + 1] = radius[i] * sine[i];
    }
  }
}

}  // namespace

std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  return TenRounds(counter, key[0], key[1]);
}

MIXLN_CLONES static void FillNormalOf(uint64_t tensor, uint64_t seed, double standard_deviation,
                                      int64_t begin, int64_t count, float* out) {
  double normals[kDrawn];
  for (int64_t first = begin / 4 * 4; first < begin + count; first += kDrawn) {
    Draw(static_cast<uint64_t>(first / 4), tensor, seed, normals);
    const int64_t from = std::max(first, begin);
    const int64_t to = std::min(first + kDrawn, begin + count);
    for (int64_t i = from; i < to; ++i)
      out[i - begin] = static_cast<float>(standard_deviation * normals[i - first]);
  }
}

void FillNormal(uint64_t seed, std::string_view name, double standard_deviation, int64_t begin, int64_t count,
                float* out) {
  FillNormalOf(HashOf(name), seed, standard_deviation, begin, count, out);
}

}  // namespace mixln::worker::trainer::kernels
