#include "base/random/splitmix.h"

#include <gtest/gtest.h>

namespace mixln::base {
namespace {

// The published reference, prng.di.unimi.it/splitmix64.c, started at 1234567 (the values that Rosetta Code
// lists).
TEST(SplitMix64, IsThePublishedSequence) {
  const uint64_t expected[] = {6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL,
                               4593380528125082431ULL, 16408922859458223821ULL};
  for (uint64_t i = 0; i < 5; ++i) EXPECT_EQ(SplitMix64(1234567, i), expected[i]);
}

TEST(UnitInterval, IsBelowOne) {
  EXPECT_EQ(UnitInterval(0), 0.0);
  EXPECT_EQ(UnitInterval(uint64_t{1} << 63), 0.5);
  EXPECT_LT(UnitInterval(~uint64_t{0}), 1.0);
}

}  // namespace
}  // namespace mixln::base
