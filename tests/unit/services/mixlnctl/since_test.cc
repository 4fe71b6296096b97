#include "services/mixlnctl/since.h"

#include <gtest/gtest.h>

namespace mixln::services::mixlnctl {
namespace {

constexpr int64_t kNow = 1'764'000'000;  // 2025-11-24T16:00:00Z

int64_t Seconds(const std::string& text) {
  const auto time = ParseSince(text, absl::FromUnixSeconds(kNow));
  return time.ok() ? absl::ToUnixSeconds(*time) : -1;
}

TEST(Since, IsASpanOrATime) {
  EXPECT_EQ(Seconds("90s"), kNow - 90);
  EXPECT_EQ(Seconds("1h30m"), kNow - 5400);
  EXPECT_EQ(Seconds("0"), kNow);
  EXPECT_EQ(Seconds("2025-11-24T15:59:00Z"), kNow - 60);
  EXPECT_EQ(Seconds("2025-11-24T17:00:00+01:00"), kNow);
}

TEST(Since, AnythingElseIsRefusedWithWhatWouldDo) {
  for (const char* text : {"yesterday", "-5m", "10", "2025-11-24", ""}) EXPECT_EQ(Seconds(text), -1) << text;
  EXPECT_NE(ParseSince("10", absl::Now()).status().message().find("such as 90s"), std::string::npos);
}

}  // namespace
}  // namespace mixln::services::mixlnctl
