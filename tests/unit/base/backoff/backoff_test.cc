#include "base/backoff/backoff.h"

#include <gtest/gtest.h>

namespace mixln::base {
namespace {

TEST(Backoff, DoublesFromTheInitialDelayUpToTheGreatest) {
  const BackoffOptions options{.initial = Seconds(0.5), .max = Seconds(3), .multiplier = 2, .jitter = 0};
  EXPECT_EQ(Backoff(options, 0, 0.9), Seconds(0.5));
  EXPECT_EQ(Backoff(options, 1, 0.9), Seconds(1));
  EXPECT_EQ(Backoff(options, 2, 0.9), Seconds(2));
  EXPECT_EQ(Backoff(options, 3, 0.9), Seconds(3));
  EXPECT_EQ(Backoff(options, 1000, 0.9), Seconds(3));
}

TEST(Backoff, TheDrawTakesOffItsShareOfTheDelay) {
  const BackoffOptions options{.initial = Seconds(1), .max = Seconds(10), .multiplier = 2, .jitter = 0.2};
  EXPECT_EQ(Backoff(options, 0, 0.0), Seconds(1));
  EXPECT_EQ(Backoff(options, 0, 0.5), Seconds(0.9));
}

}  // namespace
}  // namespace mixln::base
