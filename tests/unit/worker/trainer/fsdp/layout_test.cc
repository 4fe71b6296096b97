#include "worker/trainer/fsdp/layout.h"

#include <gmock/gmock.h>

namespace mixln::worker::trainer::fsdp {
namespace {

TEST(Layout, PutsMatricesAndVectorsApartOn64Bytes) {
  const Layout layout =
      MakeLayout({{"q", {5, 3}}, {"k", {2, 3}, 0, true}, {"norm", {3}}, {"o", {3, 3}}, {"omega", {3}}});
  EXPECT_EQ(layout.segments[0].offset, 0);
  EXPECT_EQ(layout.segments[1].offset, 15) << "joined to the one before";
  EXPECT_EQ(layout.segments[2].offset, 0);
  EXPECT_EQ(layout.segments[3].offset, 32) << "64 bytes of bf16";
  EXPECT_EQ(layout.segments[4].offset, 32);
  EXPECT_EQ(layout.matrices, 64);
  EXPECT_EQ(layout.vectors, 64);
  EXPECT_TRUE(layout.segments[0].decays);
  EXPECT_FALSE(layout.segments[2].decays);
}

TEST(Layout, RanksOwnEveryElementOnce) {
  for (const int64_t size : {32, 64, 1000, 4096}) {
    for (const int world_size : {1, 2, 3, 4, 7}) {
      int64_t next = 0;
      for (int rank = 0; rank < world_size; ++rank) {
        const Range owned = OwnedBy(rank, world_size, size);
        EXPECT_EQ(owned.begin, next);
        EXPECT_EQ(owned.elements % 32, 0);
        next += owned.elements;
      }
      EXPECT_GE(next, size);
      EXPECT_LT(next, size + 32 * world_size);
    }
  }
}

TEST(Layout, OverlapCountsFromTheFirstRange) {
  const Range inside = Overlap({10, 20}, {15, 5});
  EXPECT_EQ(inside.begin, 5);
  EXPECT_EQ(inside.elements, 5);
  const Range end = Overlap({10, 20}, {25, 100});
  EXPECT_EQ(end.begin, 15);
  EXPECT_EQ(end.elements, 5);
  EXPECT_EQ(Overlap({10, 20}, {30, 5}).elements, 0);
}

}  // namespace
}  // namespace mixln::worker::trainer::fsdp
