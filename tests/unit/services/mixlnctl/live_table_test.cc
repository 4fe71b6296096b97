#include "services/mixlnctl/live_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/mixlnctl/table.h"

namespace mixln::services::mixlnctl {
namespace {

using testing::HasSubstr;

v1::TrialView Trial(int index, const char* state, int64_t step) {
  v1::TrialView trial;
  trial.set_trial_id("demo-" + std::to_string(index));
  trial.set_index(index);
  trial.set_state(state);
  trial.set_step(step);
  trial.set_steps(100);
  return trial;
}

SweepView View(const std::vector<v1::TrialView>& trials) {
  SweepView view;
  v1::WatchSweepResponse change;
  for (const auto& trial : trials) *change.add_trials() = trial;
  Apply(view, change);
  return view;
}

TEST(OverallFraction, CountsAnEndedTrialAsWhole) {
  // 100 of a cancelled trial's 100, 50 of a running one's 100, 0 of 200.
  EXPECT_DOUBLE_EQ(OverallFraction(View({Trial(0, "TRIAL_STATE_CANCELLED", 10), Trial(1, "RUNNING", 50),
                                         Trial(2, "PENDING", 0), Trial(3, "PENDING", 0)})),
                   150.0 / 400.0);
}

TEST(OverallEta, SharesTheStepsThatWaitAmongTheTrialsThatRun) {
  auto a = Trial(0, "RUNNING", 50);
  a.set_eta_seconds(25);  // 2 steps a second
  auto b = Trial(1, "RUNNING", 0);
  b.set_eta_seconds(50);  // 2 steps a second
  // 50 + 100 + 100 steps at 4 a second.
  EXPECT_DOUBLE_EQ(OverallEta(View({a, b, Trial(2, "PENDING", 0)})), 62.5);
}

TEST(LiveLines, FitTheWidthOfTheTerminal) {
  auto trial = Trial(0, "RUNNING", 42);
  trial.set_loss(3.5);
  trial.set_perplexity(33.12);
  trial.set_tokens_per_second(12300);
  trial.set_eta_seconds(90);
  for (const int width : {40, 60, 80, 120, 200}) {
    for (const auto& line : LiveLines(View({trial}), {.width = width}))
      EXPECT_LE(DisplayWidth(line), width) << line;
  }
}

TEST(LiveLines, ShowWhatAUserWantsToKnowOfARunningTrial) {
  auto trial = Trial(0, "RUNNING", 50);
  trial.set_loss(3.5);
  trial.set_perplexity(33.12);
  trial.set_tokens_per_second(12300);
  trial.set_eta_seconds(90);
  const auto lines = LiveLines(View({trial}), {.width = 120, .unicode = false});
  for (const char* part :
       {"demo-0", "RUNNING", "##########----------", "50/100", "3.500", "33.12", "12.3K", "1m30s"}) {
    EXPECT_THAT(lines[1], HasSubstr(part));
  }
}

TEST(LiveLines, OfAShortTerminalShowTheTrialsThatRun) {
  std::vector<v1::TrialView> trials;
  for (int i = 0; i < 20; ++i) trials.push_back(Trial(i, i == 17 ? "RUNNING" : "PENDING", 0));
  const auto lines = LiveLines(View(trials), {.width = 100, .height = 8, .unicode = false});
  EXPECT_LE(lines.size(), 7u);
  EXPECT_THAT(lines, testing::Contains(HasSubstr("demo-17")));
  EXPECT_THAT(lines, testing::Contains(HasSubstr("17 more not shown")));
}

TEST(ChangeLine, IsSilentBetweenTenthsOfTheSteps) {
  const auto before = Trial(0, "RUNNING", 41);
  EXPECT_EQ(ChangeLine(&before, Trial(0, "RUNNING", 49)), std::nullopt);
  EXPECT_EQ(ChangeLine(&before, Trial(0, "RUNNING", 50)), "demo-0  RUNNING  step 50/100");
}

TEST(ChangeLine, SaysANewStateWithItsReason) {
  const auto before = Trial(0, "RUNNING", 41);
  auto after = Trial(0, "TRIAL_STATE_FAILED", 41);
  after.set_reason("out of memory");
  EXPECT_EQ(ChangeLine(&before, after), "demo-0  FAILED  step 41/100  (out of memory)");
}

}  // namespace
}  // namespace mixln::services::mixlnctl
