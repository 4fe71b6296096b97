#include "services/mixlnctl/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mixln::services::mixlnctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(RoundTicks, AreRoundAndInside) {
  EXPECT_THAT(RoundTicks(0, 1, 5), ElementsAre(0, 0.2, 0.4, testing::DoubleEq(0.6), 0.8, 1));
  EXPECT_THAT(RoundTicks(33.2, 36.1, 6), ElementsAre(33.5, 34, 34.5, 35, 35.5, 36));
  EXPECT_THAT(RoundTicks(-3, 1203, 6), ElementsAre(0, 500, 1000));
}

TEST(RoundTicks, OfWholeThingsAreWhole) {
  EXPECT_THAT(RoundTicks(0.9, 4.1, 7, true), ElementsAre(1, 2, 3, 4));
}

TEST(RoundTicks, OfNoRangeAreNone) {
  EXPECT_TRUE(RoundTicks(2, 2, 5).empty());
}

TEST(Chart, OfNothingIsNothing) {
  EXPECT_EQ(Chart({}, {}), "");
  EXPECT_EQ(Chart({{"a", {}}}, {}), "");
}

// A plot of 720 by 360: x from 72 to 704 with 2% of room, y from 312 up to 16 with 6%.
TEST(Chart, PutsLowValuesBelowHighOnes) {
  const std::string svg = Chart({{"", {{0, 10, 10, 10}, {1, 20, 20, 20, true}}}}, {.points = true});
  EXPECT_THAT(svg, HasSubstr(R"(cx="84.2" cy="296.1")"));
  EXPECT_THAT(svg, HasSubstr("<polygon class=\"star\" points=\"691.8,"));
  EXPECT_THAT(svg, Not(HasSubstr("class=\"bar\""))) << "no spread, no bar";
}

TEST(Chart, IsLogarithmicWhereTheGreatestIsMoreThanTenTimesTheLeast) {
  const std::string narrow = Chart({{"a", {{1, 1, 1, 1}, {2, 10, 10, 10}}}}, {.y_name = "loss"});
  EXPECT_THAT(narrow, Not(HasSubstr("logarithmic")));
  const std::string wide = Chart({{"a", {{1, 1, 1, 1}, {2, 100, 100, 100}}}}, {.y_name = "loss"});
  EXPECT_THAT(wide, HasSubstr("loss, logarithmic"));
  for (const char* tick : {">1<", ">2<", ">5<", ">10<", ">50<", ">100<"}) EXPECT_THAT(wide, HasSubstr(tick));
}

TEST(Chart, ReadsNoNameAsMarkup) {
  const std::string svg = Chart({{"<b>&\"", {{0, 1, 1, 1}, {1, 2, 2, 2}}}}, {.title = "a\"b"});
  EXPECT_THAT(svg, HasSubstr("&lt;b&gt;&amp;&quot;"));
  EXPECT_THAT(svg, HasSubstr("aria-label=\"a&quot;b\""));
}

}  // namespace
}  // namespace mixln::services::mixlnctl
