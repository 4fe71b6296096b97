// Random numbers as a pure function: SplitMix64 (Steele, Lea and Flood 2014). <random>'s distributions differ
// between standard libraries, and what a client shows and the coordinator does must be the same.
#pragma once

#include <cstdint>
#include <string_view>

namespace mixln::base {

// Element `index`, from 0, of the sequence of 64 random bits each that belongs to `seed`.
constexpr uint64_t SplitMix64(uint64_t seed, uint64_t index = 0) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

// 64 random bits that belong to `seed` and `text`.
constexpr uint64_t SplitMix64(uint64_t seed, std::string_view text) {
  for (const char c : text) seed = SplitMix64(seed ^ static_cast<unsigned char>(c));
  return seed;
}

// A number in [0, 1), a multiple of 2^-53, of 64 random bits.
constexpr double UnitInterval(uint64_t bits) {
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace mixln::base
