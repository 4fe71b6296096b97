#include "coordinator/results/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace mixln::coordinator::results {
namespace {

// One trial of a sweep over norm.alpha and train.seed.
v1::Trial Trial(const std::string& alpha, int seed, v1::TrialState state) {
  v1::Trial trial;
  trial.set_id("s-" + alpha + "-" + std::to_string(seed));
  auto* parameter = trial.add_parameters();
  parameter->set_path("norm.alpha");
  parameter->set_value(alpha);
  parameter = trial.add_parameters();
  parameter->set_path("train.seed");
  parameter->set_value(std::to_string(seed));
  trial.mutable_spec()->mutable_norm()->set_placement(v1::PLACEMENT_MIX);
  trial.mutable_spec()->mutable_norm()->set_alpha(std::stod(alpha));
  trial.set_state(state);
  return trial;
}

v1::Trial Succeeded(const std::string& alpha, int seed, double perplexity) {
  v1::Trial trial = Trial(alpha, seed, v1::TRIAL_STATE_SUCCEEDED);
  auto* progress = trial.mutable_progress();
  progress->set_finished(true);
  progress->set_perplexity(perplexity);
  progress->set_eval_loss(perplexity / 10);
  progress->set_bits_per_byte(perplexity / 100);
  progress->set_tokens(1000);
  trial.set_train_seconds(perplexity * 2);
  return trial;
}

v1::Results CompareAll(const std::vector<v1::Trial>& trials) {
  v1::Sweep sweep;
  sweep.set_id("s");
  std::vector<const v1::Trial*> pointers;
  for (const auto& trial : trials) pointers.push_back(&trial);
  return Compare(sweep, pointers);
}

std::vector<double> Alphas(const v1::Results& results) {
  std::vector<double> alphas;
  for (const auto& row : results.rows()) alphas.push_back(row.alpha());
  return alphas;
}

// By hand: 10, 12 and 17 have mean 39/3 = 13, squares 9 + 1 + 16 = 26, and sqrt(26/2) = sqrt(13).
TEST(Compare, MeanAndSampleDeviationAreOverSeeds) {
  const auto results =
      CompareAll({Succeeded("0.25", 0, 10), Succeeded("0.25", 1, 12), Succeeded("0.25", 2, 17)});
  ASSERT_EQ(results.rows_size(), 1);
  const auto& row = results.rows(0);
  EXPECT_DOUBLE_EQ(row.perplexity_mean(), 13);
  EXPECT_DOUBLE_EQ(row.perplexity_stddev(), 3.6055512754639893);
  EXPECT_DOUBLE_EQ(row.loss_mean(), 1.3);
  EXPECT_DOUBLE_EQ(row.bits_per_byte_mean(), 0.13);
  EXPECT_DOUBLE_EQ(row.train_seconds_mean(), 26);
  EXPECT_EQ(row.tokens(), 1000);
  EXPECT_EQ(row.counts().succeeded(), 3);
  EXPECT_EQ(row.trial_ids_size(), 3);
}

TEST(Compare, TheSeedIsNoParameterOfARow) {
  const auto results = CompareAll({Succeeded("0.25", 0, 10)});
  ASSERT_EQ(results.rows(0).parameters_size(), 1);
  EXPECT_EQ(results.rows(0).parameters(0).path(), "norm.alpha");
  EXPECT_EQ(results.rows(0).alpha(), 0.25);
  EXPECT_EQ(results.rows(0).placement(), v1::PLACEMENT_MIX);
}

TEST(Compare, OneSeedHasNoSpread) {
  EXPECT_EQ(CompareAll({Succeeded("0", 0, 10)}).rows(0).perplexity_stddev(), 0);
}

TEST(Compare, TheLowestMeanIsFirstAndBest) {
  const auto results = CompareAll({Succeeded("0", 0, 20), Succeeded("0.5", 0, 15), Succeeded("1", 0, 30)});
  EXPECT_EQ(Alphas(results), (std::vector<double>{0.5, 0, 1}));
  EXPECT_TRUE(results.rows(0).best());
  EXPECT_FALSE(results.rows(1).best());
}

TEST(Compare, AnUnfinishedRowIsLastAndNeverBest) {
  const auto results = CompareAll({Succeeded("0", 0, 5), Trial("0", 1, v1::TRIAL_STATE_RUNNING),
                                   Succeeded("0.5", 0, 15), Succeeded("0.5", 1, 16)});
  EXPECT_EQ(Alphas(results), (std::vector<double>{0.5, 0}));
  EXPECT_TRUE(results.rows(0).best());
  EXPECT_FALSE(results.rows(1).best());
  EXPECT_DOUBLE_EQ(results.rows(1).perplexity_mean(), 5);
  EXPECT_EQ(results.rows(1).counts().running(), 1);
}

TEST(Compare, DivergedRowsComeAfterFiniteOnesAndBeforeThoseWithoutResult) {
  const auto results =
      CompareAll({Trial("0.1", 0, v1::TRIAL_STATE_PENDING), Trial("0.2", 0, v1::TRIAL_STATE_FAILED),
                  Succeeded("1", 0, 5), Trial("1", 1, v1::TRIAL_STATE_DIVERGED), Succeeded("0", 0, 50),
                  Succeeded("0", 1, 60)});
  EXPECT_EQ(Alphas(results), (std::vector<double>{0, 1, 0.2, 0.1}));
  EXPECT_TRUE(results.rows(0).best());
}

TEST(Compare, ADivergedTrialsLastEvaluationDoesNotCount) {
  auto diverged = Succeeded("1", 1, std::numeric_limits<double>::infinity());
  diverged.set_state(v1::TRIAL_STATE_DIVERGED);
  const auto results = CompareAll({Succeeded("1", 0, 8), diverged});
  EXPECT_DOUBLE_EQ(results.rows(0).perplexity_mean(), 8);
  EXPECT_EQ(results.rows(0).perplexity_stddev(), 0);
  EXPECT_FALSE(results.rows(0).best());
}

TEST(Compare, OfTrialsThatTryEachOtherAgainTheNewestCounts) {
  auto failed = Trial("0", 0, v1::TRIAL_STATE_FAILED);
  failed.set_id("s-0");
  auto again = Trial("0", 0, v1::TRIAL_STATE_FAILED);
  again.set_id("s-2");
  again.set_retry_of("s-0");
  auto newest = Succeeded("0", 0, 12);
  newest.set_id("s-3");
  newest.set_retry_of("s-2");
  auto other_seed = Succeeded("0", 1, 8);
  other_seed.set_id("s-1");
  const auto results = CompareAll({failed, other_seed, again, newest});
  ASSERT_EQ(results.rows_size(), 1);
  const auto& row = results.rows(0);
  EXPECT_DOUBLE_EQ(row.perplexity_mean(), 10);
  EXPECT_EQ(row.counts().failed(), 0);
  EXPECT_EQ(row.counts().succeeded(), 2);
  EXPECT_THAT(row.trial_ids(), testing::ElementsAre("s-1", "s-3"));
  EXPECT_THAT(row.superseded_trial_ids(), testing::ElementsAre("s-0", "s-2"));
  EXPECT_TRUE(row.best());
}

TEST(Compare, AnEvaluationInTheMiddleIsNoResult) {
  auto running = Succeeded("0", 0, 8);
  running.set_state(v1::TRIAL_STATE_RUNNING);
  running.mutable_progress()->set_finished(false);
  EXPECT_EQ(CompareAll({running}).rows(0).perplexity_mean(), 0);
}

TEST(Compare, TheUnigramPerplexityIsTheFirstKnown) {
  auto second = Succeeded("0", 1, 8);
  second.mutable_progress()->set_unigram_perplexity(700);
  EXPECT_DOUBLE_EQ(CompareAll({Succeeded("0", 0, 8), second}).unigram_perplexity(), 700);
}

TEST(Compare, ASweepWithoutTrialsHasNoRows) {
  EXPECT_EQ(CompareAll({}).rows_size(), 0);
}

// The mean of the one seed that was left to finish is lower, but of a lucky one.
TEST(Compare, ARowOfWhichASearchPrunedASeedIsNeverTheBest) {
  const auto results = CompareAll({Succeeded("1", 0, 8), Trial("1", 1, v1::TRIAL_STATE_PRUNED),
                                   Succeeded("0", 0, 9), Succeeded("0", 1, 10)});
  EXPECT_EQ(Alphas(results), (std::vector<double>{0, 1}));
  EXPECT_TRUE(results.rows(0).best());
  EXPECT_FALSE(results.rows(1).best());
  EXPECT_EQ(results.rows(1).counts().pruned(), 1);
}

}  // namespace
}  // namespace mixln::coordinator::results
