#include "base/text/suggest.h"

#include <gtest/gtest.h>

namespace mixln::base {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsAndSubstitutions) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("layers", "layer"), 1);
  // The textbook pair: k->s, e->i, +g.
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

TEST(EditDistance, CountsASwapOfNeighboursAsOne) {
  EXPECT_EQ(EditDistance("trian", "train"), 1);
  EXPECT_EQ(EditDistance("ab", "ba"), 1);
  // Optimal string alignment, which edits no letter twice, needs 3 where the unrestricted distance needs 2.
  EXPECT_EQ(EditDistance("ca", "abc"), 3);
}

TEST(EditDistance, IsSymmetric) {
  EXPECT_EQ(EditDistance("warmup", "warm-ups"), EditDistance("warm-ups", "warmup"));
}

TEST(Suggest, NamesTheNearestWord) {
  EXPECT_EQ(Suggest("trian", {"data", "train", "eval"}), "train");
  EXPECT_EQ(Suggest("warmup_stepz", {"steps", "warmup_steps"}), "warmup_steps");
}

TEST(Suggest, IsSilentWhenNothingIsNear) {
  EXPECT_EQ(Suggest("frobnicate", {"data", "train", "eval"}), "");
  EXPECT_EQ(Suggest("x", {}), "");
  // Two edits would turn any word of two letters into any other.
  EXPECT_EQ(Suggest("xy", {"lr"}), "");
}

}  // namespace
}  // namespace mixln::base
