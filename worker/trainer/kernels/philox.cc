#include "worker/trainer/kernels/philox.h"

#include <cmath>
#include <numbers>

namespace mixln::worker::trainer::kernels {
namespace {

// FNV-1a: which tensor, as part of the counter.
uint64_t HashOf(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash;
}

// Uniform in (0, 1), never 0: a word's upper 24 bits and a half.
double Uniform(uint32_t word) {
  return (static_cast<double>(word >> 8) + 0.5) / 16777216.0;
}

}  // namespace

std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = uint64_t{0xD2511F53} * counter[0];
    const uint64_t second = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(second),
               static_cast<uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(first)};
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return counter;
}

void FillNormal(uint64_t seed, std::string_view name, double standard_deviation, int64_t begin, int64_t count,
                float* out) {
  const uint64_t tensor = HashOf(name);
  int64_t have = -1;
  double normals[4] = {};
  for (int64_t i = 0; i < count; ++i) {
    const int64_t block = (begin + i) / 4;
    if (block != have) {
      have = block;
      const auto words = Philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                                 static_cast<uint32_t>(tensor), static_cast<uint32_t>(tensor >> 32)},
                                {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
      for (size_t pair = 0; pair < 4; pair += 2) {  // Box and Muller 1958
        const double radius = std::sqrt(-2.0 * std::log(Uniform(words[pair])));
        const double angle = 2.0 * std::numbers::pi * Uniform(words[pair + 1]);
        normals[pair] = radius * std::cos(angle);
        normals[pair + 1] = radius * std::sin(angle);
      }
    }
    out[i] = static_cast<float>(standard_deviation * normals[(begin + i) % 4]);
  }
}

}  // namespace mixln::worker::trainer::kernels
