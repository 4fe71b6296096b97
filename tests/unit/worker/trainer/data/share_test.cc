#include "worker/trainer/data/share.h"

#include <gmock/gmock.h>

namespace mixln::worker::trainer::data {
namespace {

TEST(Share, DealsRowsOutInOrderAndEvenly) {
  EXPECT_EQ(ShareOf(7, 0, 3), (Share{0, 3}));
  EXPECT_EQ(ShareOf(7, 1, 3), (Share{3, 2}));
  EXPECT_EQ(ShareOf(7, 2, 3), (Share{5, 2}));
  EXPECT_EQ(ShareOf(1, 2, 3), (Share{1, 0}));
  EXPECT_EQ(ShareOf(8, 0, 1), (Share{0, 8}));
}

TEST(Share, EveryRankHasAsManyMicroBatches) {
  EXPECT_EQ(MicroBatches(7, 3, 0), 1);
  EXPECT_EQ(MicroBatches(7, 3, 2), 2) << "rank 0 has 3 rows";
  EXPECT_EQ(MicroBatches(1, 3, 2), 1);
  const Share second = ShareOf(7, 1, 3);
  EXPECT_EQ(MicroBatch(second, 0, 2), (Share{3, 2}));
  EXPECT_EQ(MicroBatch(second, 1, 2).rows, 0);
  const Share first = ShareOf(7, 0, 3);
  EXPECT_EQ(MicroBatch(first, 1, 2), (Share{2, 1}));
  EXPECT_EQ(MicroBatch(first, 0, 0), first);
}

}  // namespace
}  // namespace mixln::worker::trainer::data
