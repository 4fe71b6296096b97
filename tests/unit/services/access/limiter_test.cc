#include "services/access/limiter.h"

#include <gtest/gtest.h>

namespace mixln::services::access {
namespace {

constexpr Limiter::Time kStart{};

TEST(Limiter, LetsABurstInAndThenTheLongRunRate) {
  Limiter limiter({.calls_per_second = 2, .burst = 3, .open_calls = 10});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.Admit("ada", kStart).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(limiter.Admit("ada", kStart)));
  EXPECT_TRUE(limiter.Admit("bob", kStart).ok());  // each has its own
  const auto later = kStart + std::chrono::milliseconds(500);
  EXPECT_TRUE(limiter.Admit("ada", later).ok());
  EXPECT_FALSE(limiter.Admit("ada", later).ok());
  const auto much_later = kStart + std::chrono::hours(1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.Admit("ada", much_later).ok());
  EXPECT_FALSE(limiter.Admit("ada", much_later).ok());
}

TEST(Limiter, BoundsTheOpenCallsOfEach) {
  Limiter limiter({.calls_per_second = 100, .burst = 100, .open_calls = 2});
  limiter.Begin("ada");
  EXPECT_TRUE(limiter.Admit("ada", kStart).ok());
  limiter.Begin("ada");
  EXPECT_TRUE(absl::IsResourceExhausted(limiter.Admit("ada", kStart)));
  EXPECT_TRUE(limiter.Admit("bob", kStart).ok());
  limiter.End("ada");
  EXPECT_TRUE(limiter.Admit("ada", kStart).ok());
}

}  // namespace
}  // namespace mixln::services::access
