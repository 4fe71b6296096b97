#include "services/mixlnctl/table.h"

#include <gtest/gtest.h>

namespace mixln::services::mixlnctl {
namespace {

Table Example() {
  Table table({{"NAME"}, {"LOSS", Align::kRight, 2}, {"NOTE", Align::kLeft, 1}});
  table.AddRow({"a", "3.5", "first"});
  table.AddRow({"longer", "10.25", ""});
  return table;
}

TEST(Table, AlignsItsColumnsTwoSpacesApartAndEndsLinesWithoutSpaces) {
  EXPECT_EQ(Example().Render({}),
            "NAME     LOSS  NOTE\n"
            "a         3.5  first\n"
            "longer  10.25\n");
}

TEST(Table, DropsTheColumnWithTheHighestNumberFirstWhereItIsTooWide) {
  // 6 + 2 + 5 + 2 + 5 = 20 columns do not fit into 15; without LOSS it is 6 + 2 + 5 = 13.
  EXPECT_EQ(Example().Render({}, 15),
            "NAME    NOTE\n"
            "a       first\n"
            "longer\n");
}

TEST(Table, CutsWhatStillDoesNotFit) {
  EXPECT_EQ(Example().Lines({}, 4)[2], "lon…");
}

TEST(Table, CountsColoursAsNoWidth) {
  const Style style{.colour = true};
  Table table({{"A"}, {"B"}});
  table.AddRow({style.Red("xy"), "1"});
  EXPECT_EQ(table.Lines({})[1], "\x1b[31mxy\x1b[0m  1");
}

TEST(DisplayWidth, CountsCodePointsAndNoColours) {
  EXPECT_EQ(DisplayWidth("α ± ★"), 5);
  EXPECT_EQ(DisplayWidth("\x1b[31mred\x1b[0m"), 3);
}

TEST(Truncate, KeepsWhatFitsAndClosesColours) {
  EXPECT_EQ(Truncate("abc", 3), "abc");
  EXPECT_EQ(Truncate("abcd", 3), "ab…");
  EXPECT_EQ(Truncate("αβγδ", 3, /*unicode=*/false), "αβ~");
  EXPECT_EQ(Truncate("\x1b[31mabcd\x1b[0m", 2), "\x1b[31ma…\x1b[0m");
}

}  // namespace
}  // namespace mixln::services::mixlnctl
