#include "worker/trainer/data/permutation.h"

#include <bit>

namespace mixln::worker::trainer::data {
namespace {

uint64_t Finalize(uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

}  // namespace

uint64_t Mix(uint64_t a, uint64_t b) {
  return Finalize(Finalize(a) ^ b);
}

uint64_t Permute(uint64_t key, uint64_t size, uint64_t index) {
  constexpr uint64_t kRounds = 8;
  if (size <= 1) return 0;
  const int half_bits = (std::bit_width(size - 1) + 1) / 2;
  const uint64_t half_mask = (uint64_t{1} << half_bits) - 1;
  do {
    uint64_t left = index >> half_bits;
    uint64_t right = index & half_mask;
    for (uint64_t round = 0; round < kRounds; ++round) {
      const uint64_t next = left ^ (Mix(key + round, right) & half_mask);
      left = right;
      right = next;
    }
    index = left << half_bits | right;
  } while (index >= size);
  return index;
}

}  // namespace mixln::worker::trainer::data
