#include "services/mixlnctl/format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace mixln::services::mixlnctl {
namespace {

TEST(FormatDuration, ShowsTheTwoLargestUnits) {
  EXPECT_EQ(FormatDuration(0), "0s");
  EXPECT_EQ(FormatDuration(59.4), "59s");
  EXPECT_EQ(FormatDuration(192), "3m12s");     // 3 * 60 + 12
  EXPECT_EQ(FormatDuration(3900), "1h05m");    // 3600 + 5 * 60
  EXPECT_EQ(FormatDuration(183600), "2d03h");  // 2 * 86400 + 3 * 3600
}

TEST(FormatDuration, RoundsIntoTheNextUnit) {
  EXPECT_EQ(FormatDuration(59.6), "1m00s");
}

TEST(FormatDuration, OfNoTimeIsADash) {
  EXPECT_EQ(FormatDuration(-1), "-");
  EXPECT_EQ(FormatDuration(std::numeric_limits<double>::infinity()), "-");
}

TEST(FormatCount, KeepsThreeDigitsInThousands) {
  EXPECT_EQ(FormatCount(950), "950");
  EXPECT_EQ(FormatCount(999.6), "1.00K");
  EXPECT_EQ(FormatCount(1234), "1.23K");
  EXPECT_EQ(FormatCount(70600000), "70.6M");
  EXPECT_EQ(FormatCount(999999), "1.00M");
  EXPECT_EQ(FormatCount(1.339e9), "1.34B");
  EXPECT_EQ(FormatCount(131072), "131K");  // 512 * 256
}

TEST(FormatBytes, KeepsThreeDigitsInPowersOf1024) {
  EXPECT_EQ(FormatBytes(512), "512 B");
  EXPECT_EQ(FormatBytes(1536), "1.50 KiB");
  EXPECT_EQ(FormatBytes(12 * 1024 * 1024), "12.0 MiB");
  EXPECT_EQ(FormatBytes(1024LL * 1024 * 1024 - 1), "1.00 GiB");
}

TEST(FormatPerplexity, HasFewerDecimalsWhereItIsLarge) {
  EXPECT_EQ(FormatPerplexity(33.118), "33.12");
  EXPECT_EQ(FormatPerplexity(1409.09), "1409.1");  // paper.md: Post at 250M
  EXPECT_EQ(FormatPerplexity(2.353e7), "2.35e+07");
}

TEST(FormatPerplexity, TellsNoneFromNotANumber) {
  EXPECT_EQ(FormatPerplexity(0), "-");
  EXPECT_EQ(FormatPerplexity(std::nan("")), "nan");
  EXPECT_EQ(FormatPerplexity(std::numeric_limits<double>::infinity()), "inf");
}

TEST(FormatSpread, LeavesOutTheSpreadOfASingleSeed) {
  EXPECT_EQ(FormatSpread(33.118, 0.1449, "±"), "33.12 ± 0.14");
  EXPECT_EQ(FormatSpread(33.118, 0, "±"), "33.12");
  EXPECT_EQ(FormatSpread(0, 0, "±"), "-");
}

TEST(Plural, AddsAnSExceptToOne) {
  EXPECT_EQ(Plural(1, "trial"), "1 trial");
  EXPECT_EQ(Plural(0, "trial"), "0 trials");
}

}  // namespace
}  // namespace mixln::services::mixlnctl
