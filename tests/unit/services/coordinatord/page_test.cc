#include "services/coordinatord/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mixln::services::coordinatord {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string Itself(const std::string& item) {
  return item;
}

TEST(Page, GoesOnAfterTheTokenEvenWhenThatItemIsGone) {
  const auto first = TakePage<std::string>({"d", "b", "a"}, Itself, 2, "");
  EXPECT_THAT(first.items, ElementsAre("a", "b"));
  EXPECT_EQ(first.next_token, "b");
  const auto second = TakePage<std::string>({"d", "c", "a"}, Itself, 2, first.next_token);
  EXPECT_THAT(second.items, ElementsAre("c", "d"));
  EXPECT_EQ(second.next_token, "");
}

TEST(Page, SizesAreBounded) {
  const std::vector<std::string> many(2000, "x");
  EXPECT_EQ(TakePage(many, Itself, 0, "").items.size(), 100U);
  EXPECT_EQ(TakePage(many, Itself, 5000, "").items.size(), 1000U);
}

TEST(Page, OfNothingIsEmpty) {
  EXPECT_THAT(TakePage<std::string>({}, Itself, 0, "").items, IsEmpty());
}

}  // namespace
}  // namespace mixln::services::coordinatord
