// Brackets computed by hand: r = 1, eta = 3, R = 9 as in the example of Li et al. 2020 (figure 1), times 100
// steps.
#include <gmock/gmock.h>

#include <limits>

#include "coordinator/search/search.h"

namespace mixln::coordinator::search {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Bracket {
  v1::SearchSpec search;
  std::vector<v1::Trial> trials;

  explicit Bracket(int count) {
    search.set_strategy(v1::STRATEGY_ASHA);
    search.mutable_asha()->set_min_steps(100);
    search.mutable_asha()->set_reduction_factor(3);
    for (int i = 0; i < count; ++i) {
      v1::Trial& trial = trials.emplace_back();
      trial.set_index(i);
      trial.mutable_spec()->mutable_train()->set_steps(900);
    }
  }

  // The trial reaches its next rung with this loss.
  bool GoesOn(int index, double loss) { return !Reach(index, loss).has_value(); }
  std::optional<std::string> Reach(int index, double loss) {
    v1::Trial& trial = trials.at(static_cast<size_t>(index));
    const auto rungs = Rungs(search, trial.spec());
    v1::RungResult& rung = *trial.add_rungs();
    rung.set_step(rungs.at(static_cast<size_t>(trial.rungs_size() - 1)));
    rung.set_eval_loss(loss);
    std::vector<const v1::Trial*> all;
    for (const v1::Trial& t : trials) all.push_back(&t);
    return Judge(search, all, trial);
  }
};

TEST(Asha, RungsGrowByTheReductionFactorBelowTheLastStep) {
  Bracket b(1);
  EXPECT_THAT(Rungs(b.search, b.trials[0].spec()), ElementsAre(100, 300));
  b.trials[0].mutable_spec()->mutable_train()->set_steps(901);
  EXPECT_THAT(Rungs(b.search, b.trials[0].spec()), ElementsAre(100, 300, 900));
  b.search.mutable_asha()->set_max_steps(300);
  EXPECT_THAT(Rungs(b.search, b.trials[0].spec()), ElementsAre(100));
}

TEST(Asha, RungsOfTheLargestStepsDoNotOverflow) {
  Bracket b(1);
  b.trials[0].mutable_spec()->mutable_train()->set_steps(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(Rungs(b.search, b.trials[0].spec()).size(), 36U);  // 100 * 3^35 < 2^63 < 100 * 3^36
}

TEST(Asha, OtherStrategiesHaveNoRungs) {
  Bracket b(1);
  b.search.set_strategy(v1::STRATEGY_RANDOM);
  EXPECT_THAT(Rungs(b.search, b.trials[0].spec()), IsEmpty());
}

// Nine trials reach rung 0 one after another. top_k(rung, |rung| / eta): one goes on among 1 to 5, two among
// 6 to 8, three among 9.
TEST(Asha, NineTrialsAtTheFirstRung) {
  Bracket b(9);
  EXPECT_TRUE(b.GoesOn(0, 5.0));    // first
  EXPECT_FALSE(b.GoesOn(1, 6.0));   // 2nd of 2, 1 goes on
  EXPECT_TRUE(b.GoesOn(2, 4.0));    // 1st of 3
  EXPECT_FALSE(b.GoesOn(3, 4.5));   // 2nd of 4
  EXPECT_FALSE(b.GoesOn(4, 4.2));   // 2nd of 5
  EXPECT_TRUE(b.GoesOn(5, 4.1));    // 2nd of 6, 2 go on
  EXPECT_FALSE(b.GoesOn(6, 4.3));   // 4th of 7
  EXPECT_FALSE(b.GoesOn(7, 4.15));  // 3rd of 8
  EXPECT_TRUE(b.GoesOn(8, 4.12));   // 3rd of 9, 3 go on
}

TEST(Asha, ARungIsComparedOnlyWithItself) {
  Bracket b(3);
  EXPECT_TRUE(b.GoesOn(0, 5.0));
  EXPECT_TRUE(b.GoesOn(1, 4.0));
  EXPECT_TRUE(b.GoesOn(0, 3.0));   // at 300 steps, where nobody else is
  EXPECT_FALSE(b.GoesOn(1, 3.5));  // 2nd of 2 there
  EXPECT_FALSE(b.GoesOn(2, 4.5));  // 2nd of 3 at 100 steps
}

TEST(Asha, EqualLossesGoByIndex) {
  Bracket b(2);
  EXPECT_TRUE(b.GoesOn(1, 5.0));
  EXPECT_TRUE(b.GoesOn(0, 5.0));
}

TEST(Asha, TheOrderOfTheTrialsDoesNotMatter) {
  Bracket b(4);
  b.Reach(0, 5.0);
  b.Reach(1, 3.0);
  b.Reach(2, 4.0);
  v1::RungResult& rung = *b.trials[3].add_rungs();
  rung.set_step(100);
  rung.set_eval_loss(3.5);
  const v1::Trial &t0 = b.trials[0], &t1 = b.trials[1], &t2 = b.trials[2], &t3 = b.trials[3];
  EXPECT_EQ(Judge(b.search, {&t0, &t1, &t2, &t3}, t3), Judge(b.search, {&t3, &t2, &t1, &t0}, t3));
}

// Six with the diverged one: two go on. Without it five, of which one would.
TEST(Asha, ADivergedTrialCountsAsTheWorstAtTheRungItDidNotReach) {
  Bracket b(6);
  b.trials[0].set_state(v1::TRIAL_STATE_DIVERGED);
  b.Reach(1, 3.0);
  b.Reach(2, 5.0);
  b.Reach(3, 6.0);
  b.Reach(4, 7.0);
  EXPECT_TRUE(b.GoesOn(5, 4.0));
  b.trials[0].set_state(v1::TRIAL_STATE_FAILED);
  b.trials[5].clear_rungs();
  EXPECT_FALSE(b.GoesOn(5, 4.0));
}

TEST(Asha, ALossThatIsNoNumberNeverGoesOn) {
  Bracket b(1);
  EXPECT_FALSE(b.GoesOn(0, std::numeric_limits<double>::quiet_NaN()));
}

TEST(Asha, SaysWhy) {
  Bracket b(2);
  b.Reach(0, 4.0);
  EXPECT_THAT(*b.Reach(1, 5.0),
              HasSubstr("pruned at step 100: its evaluation loss of 5.0000 is number 2 of 2 there"));
}

}  // namespace
}  // namespace mixln::coordinator::search
