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

TEST(Limiter, ForgetsWhoHasBeenSilentAndNobodyElse) {
  Limiter limiter({.calls_per_second = 1, .burst = 2, .open_calls = 2});
  limiter.Begin("open");
  for (size_t i = 0; i < 2 * Limiter::kRemembered; ++i)
    EXPECT_TRUE(limiter.Admit(std::to_string(i), kStart + std::chrono::milliseconds(i)).ok());
  EXPECT_LT(limiter.callers(), 2 * Limiter::kRemembered);
  const auto later = kStart + std::chrono::hours(1);
  EXPECT_TRUE(limiter.Admit("busy", later).ok());
  EXPECT_TRUE(limiter.Admit("busy", later).ok());
  for (size_t i = 0; i < 4 * Limiter::kRemembered; ++i)
    EXPECT_TRUE(limiter.Admit("new " + std::to_string(i), later).ok());
  EXPECT_FALSE(limiter.Admit("busy", later).ok());
  limiter.Begin("open");
  EXPECT_TRUE(absl::IsResourceExhausted(limiter.Admit("open", later)));
}

}  // namespace
}  // namespace mixln::services::access
