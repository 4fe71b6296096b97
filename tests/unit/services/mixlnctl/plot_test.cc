#include "services/mixlnctl/plot.h"

#include <gtest/gtest.h>

namespace mixln::services::mixlnctl {
namespace {

TEST(Plot, PutsPointsWhereTheyBelongAndMarksTheBest) {
  // x from 0 to 1 over 5 columns: 0.25 is the second, 1 the fifth. y from 10 to 12 over 3 rows.
  const auto lines = Plot({{0, 12, 0, false}, {0.25, 10, 0, true}, {1, 11, 0, false}},
                          {.width = 5, .height = 3, .unicode = false, .x_name = "a"});
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0], "    12.00 |o");
  EXPECT_EQ(lines[1], "          |    o");
  EXPECT_EQ(lines[2], "    10.00 | *");
  EXPECT_EQ(lines[3], "          +-----");
  EXPECT_EQ(lines[4], "           0 a 1");
}

TEST(Plot, DrawsTheSpreadAroundTheMean) {
  const auto lines =
      Plot({{0, 10, 2, false}, {1, 10, 0, false}}, {.width = 2, .height = 5, .unicode = false, .x_name = ""});
  EXPECT_EQ(lines[0], "    12.00 ||");
  EXPECT_EQ(lines[2], "          |oo");
  EXPECT_EQ(lines[4], "     8.00 ||");
}

TEST(Plot, TurnsLogarithmicWhereARunCollapsed) {
  const auto lines =
      Plot({{0, 18.65, 0, false}, {1, 1434, 0, false}}, {.width = 40, .unicode = false, .x_name = "alpha"});
  EXPECT_NE(lines.back().find("logarithmic"), std::string::npos);
}

TEST(Plot, OfASinglePositionIsEmpty) {
  EXPECT_TRUE(Plot({{0.5, 10, 0, false}, {0.5, 11, 0, false}}, {}).empty());
  EXPECT_TRUE(Plot({}, {}).empty());
}

}  // namespace
}  // namespace mixln::services::mixlnctl
