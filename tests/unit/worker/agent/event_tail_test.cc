#include "worker/agent/event_tail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "agent_host.h"

namespace mixln::worker::agent {
namespace {

class EventTailTest : public testing::Test {
 protected:
  void Append(const std::string& text) { std::ofstream(path_, std::ios::app) << text; }
  static std::string Line(int sequence) {
    return absl::StrCat("{\"sequence\":\"", sequence, "\",\"step\":\"", sequence, "\"}\n");
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "events.jsonl";
  EventTail tail_{path_};
};

TEST_F(EventTailTest, AFileThatIsNotThereHasNoEvents) {
  EXPECT_TRUE(tail_.Read(0, 10).empty());
}

TEST_F(EventTailTest, ReadsWhatWasAppendedSinceTheLastTime) {
  Append(Line(1) + Line(2));
  EXPECT_EQ(tail_.Read(0, 10).size(), 2u);
  EXPECT_TRUE(tail_.Read(2, 10).empty());
  Append(Line(3));
  const auto events = tail_.Read(2, 10);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].sequence(), 3u);
}

TEST_F(EventTailTest, ALineCountsOnceItsNewlineIsThere) {
  Append(Line(1) + "{\"sequence\":");
  EXPECT_EQ(tail_.Read(0, 10).size(), 1u);
  Append("\"2\"}\n");
  EXPECT_EQ(tail_.Read(1, 10).size(), 1u);
}

TEST_F(EventTailTest, BatchesAndGoesBackAndForthByNumber) {
  for (int i = 1; i <= 600; ++i) Append(Line(i));
  EXPECT_EQ(tail_.Read(0, 256).back().sequence(), 256u);
  EXPECT_EQ(tail_.Read(256, 256).back().sequence(), 512u);
  EXPECT_EQ(tail_.Read(100, 2).front().sequence(), 101u);
  EXPECT_EQ(tail_.Read(590, 256).size(), 10u);
  EXPECT_TRUE(tail_.Read(700, 1).empty()) << "a cursor beyond the file waits";
}

TEST_F(EventTailTest, ReadsNotANumberAndInfinities) {
  Append(
      "{\"sequence\":\"1\",\"step\":\"1\",\"step_done\":{\"loss\":\"NaN\",\"gradient_norm\":\"Infinity\"}}"
      "\n");
  const auto events = tail_.Read(0, 1);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_TRUE(std::isnan(events[0].step_done().loss()));
  EXPECT_TRUE(std::isinf(events[0].step_done().gradient_norm()));
}

TEST_F(EventTailTest, ALineThatIsNoEventEndsTheFileAndIsNamed) {
  Append(Line(1) + "garbage\n" + Line(3));
  EXPECT_EQ(tail_.Read(0, 10).size(), 1u);
  EXPECT_THAT(tail_.problem(), testing::HasSubstr("events.jsonl line 2"));
  EXPECT_EQ(ReadLastEvent(path_).sequence, 1u);
}

TEST_F(EventTailTest, AGapInTheNumbersEndsTheFile) {
  Append(Line(1) + Line(3));
  EXPECT_EQ(tail_.Read(0, 10).size(), 1u);
  EXPECT_FALSE(tail_.problem().empty());
}

}  // namespace
}  // namespace mixln::worker::agent
