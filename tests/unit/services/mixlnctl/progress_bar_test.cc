#include "services/mixlnctl/progress_bar.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mixln::services::mixlnctl {
namespace {

TEST(ProgressBar, FillsInEighthsOfAColumn) {
  EXPECT_EQ(ProgressBar(0, 4, true), "░░░░");
  EXPECT_EQ(ProgressBar(0.5, 4, true), "██░░");
  EXPECT_EQ(ProgressBar(0.40625, 4, true), "█▋░░");  // 0.40625 * 4 = 1 + 5/8
  EXPECT_EQ(ProgressBar(1, 4, true), "████");
}

TEST(ProgressBar, FillsWholeColumnsWithoutUnicode) {
  EXPECT_EQ(ProgressBar(0.7, 10, false), "#######---");
}

TEST(ProgressBar, IsFullOnlyAtTheEnd) {
  EXPECT_EQ(ProgressBar(0.9999, 10, false), "#########-");
}

TEST(ProgressBar, ClampsWhatIsOutOfRange) {
  EXPECT_EQ(ProgressBar(7, 2, false), "##");
  EXPECT_EQ(ProgressBar(-1, 2, false), "--");
  EXPECT_EQ(ProgressBar(std::nan(""), 2, false), "--");
}

}  // namespace
}  // namespace mixln::services::mixlnctl
