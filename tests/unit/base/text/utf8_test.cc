#include "base/text/utf8.h"

#include <gtest/gtest.h>

namespace mixln::base {
namespace {

constexpr size_t kNone = std::string_view::npos;

TEST(FindInvalidUtf8, AcceptsEveryLengthOfSequence) {
  EXPECT_EQ(FindInvalidUtf8(""), kNone);
  EXPECT_EQ(FindInvalidUtf8("plain"), kNone);
  EXPECT_EQ(FindInvalidUtf8("\u00e9\u20ac\U0001F600"), kNone);
  // The last code point before and the first after the surrogates, and the last of all.
  EXPECT_EQ(FindInvalidUtf8("\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF"), kNone);
}

TEST(FindInvalidUtf8, NamesTheOffsetOfTheFirstBadByte) {
  EXPECT_EQ(FindInvalidUtf8("na\xEFve"), 2U);
  EXPECT_EQ(FindInvalidUtf8("caf\xE9"), 3U);
  EXPECT_EQ(FindInvalidUtf8("\x80"), 0U);
}

// The ill-formed sequences of the Unicode standard, chapter 3, table 3-7.
TEST(FindInvalidUtf8, RefusesOverlongFormsSurrogatesAndWhatLiesBeyondUnicode) {
  for (const char* bad : {"\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x82", "\xF0\x9F\x98"}) {
    EXPECT_EQ(FindInvalidUtf8(bad), 0U);
  }
}

}  // namespace
}  // namespace mixln::base
