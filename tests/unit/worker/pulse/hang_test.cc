#include "worker/pulse/hang.h"

#include <gtest/gtest.h>

#include <set>

namespace mixln::worker::pulse {
namespace {

using base::Seconds;

constexpr HangLimits kLimits{.start = Seconds(100), .step = Seconds(30)};

Reading Training(int64_t step, uint64_t collective = 0) {
  return {Phase::kTraining, step, collective, 0};
}

// Looks at the same readings once a second until the watch has a verdict; the second of that, or `until`.
// Ranks in `waiting` beat, as those do that wait for others.
int SecondsToVerdict(HangWatch& watch, std::map<int32_t, Reading> ranks, base::Time& now, int until,
                     const std::set<int32_t>& waiting = {}) {
  for (int second = 0; second < until; ++second) {
    for (const int32_t rank : waiting) ++ranks.at(rank).beats;
    for (const auto& [rank, reading] : ranks) watch.See(rank, reading, now);
    if (watch.Judge(now)) return second;
    now = now + Seconds(1);
  }
  return until;
}

// Each step takes so long.
void Train(HangWatch& watch, int32_t rank, int64_t steps, int seconds_a_step, base::Time& now) {
  for (int64_t step = 1; step <= steps; ++step)
    for (int i = 0; i < seconds_a_step; ++i, now = now + Seconds(1)) watch.See(rank, Training(step), now);
}

TEST(HangTest, GivesAStepItsFloor) {
  HangWatch watch(kLimits);
  base::Time now;
  Train(watch, 0, 5, 1, now);
  EXPECT_NEAR(SecondsToVerdict(watch, {{0, Training(5)}}, now, 1000), 30, 1);
  EXPECT_EQ(watch.Judge(now)->what, "no sign of life for 31 s while training step 5, limit 30 s");
}

TEST(HangTest, GivesSlowStepsTenMedians) {
  HangWatch watch(kLimits);
  base::Time now;
  Train(watch, 0, 6, 7, now);
  EXPECT_NEAR(SecondsToVerdict(watch, {{0, Training(7)}}, now, 1000), 70, 1);
}

TEST(HangTest, GivesStartAndFirstStepAndSavingMoreTime) {
  for (const Phase phase : {Phase::kStarting, Phase::kTraining, Phase::kSaving}) {
    HangWatch watch(kLimits);
    base::Time now;
    EXPECT_NEAR(SecondsToVerdict(watch, {{0, {phase, 1, 0, 0}}}, now, 1000), 100, 1);
  }
}

TEST(HangTest, BlamesTheRankThatIsBehindAndNotTheOnesThatWaitForIt) {
  HangWatch watch(kLimits);
  base::Time now;
  const std::map<int32_t, Reading> ranks{{0, Training(1, 8)}, {1, Training(1, 7)}, {2, Training(1, 8)}};
  EXPECT_LT(SecondsToVerdict(watch, ranks, now, 1000, {0, 2}), 1000);
  EXPECT_EQ(watch.Judge(now)->rank, 1);
}

TEST(HangTest, BlamesARankThatIsStoppedWhileItWaits) {
  HangWatch watch(kLimits);
  base::Time now;
  const std::map<int32_t, Reading> ranks{{0, Training(1, 8)}, {1, Training(1, 8)}};
  EXPECT_LT(SecondsToVerdict(watch, ranks, now, 1000, {0}), 1000);
  EXPECT_EQ(watch.Judge(now)->rank, 1);
}

TEST(HangTest, BlamesTheOneThatIsFurthestBehindOfSilentOnes) {
  HangWatch watch(kLimits);
  base::Time now;
  const std::map<int32_t, Reading> ranks{{0, Training(1, 8)}, {1, Training(1, 7)}};
  EXPECT_LT(SecondsToVerdict(watch, ranks, now, 1000), 1000);
  EXPECT_EQ(watch.Judge(now)->rank, 1);
}

TEST(HangTest, BlamesNobodyHereWhenAllWaitForAnotherHost) {
  HangWatch watch(kLimits);
  base::Time now;
  const std::map<int32_t, Reading> ranks{{0, Training(1, 8)}, {1, Training(1, 8)}};
  EXPECT_EQ(SecondsToVerdict(watch, ranks, now, 1000, {0, 1}), 1000);
}

TEST(HangTest, BlamesNobodyWhileTheRankThatIsBehindShowsLife) {
  HangWatch watch(kLimits);
  base::Time now;
  for (uint64_t beat = 0; beat < 1000; ++beat, now = now + Seconds(1)) {  // a full disk
    watch.See(0, {Phase::kSaving, 1, 7, beat}, now);
    watch.See(1, {Phase::kTraining, 1, 8, beat}, now);
    ASSERT_FALSE(watch.Judge(now));
  }
}

TEST(HangTest, DoesNotTakeItsOwnSleepForARanks) {
  HangWatch watch(kLimits);
  base::Time now;
  watch.See(0, Training(1), now);
  now = now + Seconds(3600);
  watch.See(0, Training(1), now);
  EXPECT_FALSE(watch.Judge(now));
}

TEST(HangTest, ForgetsARankThatHasEnded) {
  HangWatch watch(kLimits);
  base::Time now;
  watch.See(0, Training(1), now);
  watch.Forget(0);
  EXPECT_FALSE(watch.Judge(now + Seconds(1000)));
}

}  // namespace
}  // namespace mixln::worker::pulse
