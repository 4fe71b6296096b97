#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "coordinator/search/search.h"

namespace mixln::coordinator::search {
namespace {

using ::testing::Each;
using ::testing::ElementsAreArray;

v1::SearchSpec Random(int samples, int64_t seed = 0) {
  v1::SearchSpec search;
  search.set_strategy(v1::STRATEGY_RANDOM);
  search.set_samples(samples);
  search.set_seed(seed);
  return search;
}

v1::Parameter Choice(const std::vector<std::string>& values, const std::string& path = "norm.placement") {
  v1::Parameter parameter;
  parameter.set_path(path);
  for (const std::string& value : values) parameter.add_values(value);
  return parameter;
}

v1::Parameter From(v1::Distribution::Kind kind, double min, double max) {
  v1::Parameter parameter;
  parameter.set_path("train.lr");
  parameter.mutable_distribution()->set_kind(kind);
  parameter.mutable_distribution()->set_min(min);
  parameter.mutable_distribution()->set_max(max);
  return parameter;
}

std::vector<double> Numbers(const v1::Parameter& parameter, int samples, bool whole = false) {
  std::vector<double> numbers;
  for (const std::string& text : Draw(Random(samples), parameter, whole)) numbers.push_back(std::stod(text));
  return numbers;
}

double MeanOf(const std::vector<double>& numbers, double (*of)(double)) {
  double sum = 0;
  for (const double number : numbers) sum += of(number);
  return sum / static_cast<double>(numbers.size());
}

double Same(double x) {
  return x;
}

TEST(Draw, IsTheSameForTheSameSeedAndAnotherForAnother) {
  const v1::Parameter parameter = From(v1::Distribution::KIND_UNIFORM, 0, 1);
  const auto drawn = Draw(Random(20, 7), parameter, false);
  EXPECT_EQ(drawn, Draw(Random(20, 7), parameter, false));
  EXPECT_NE(drawn, Draw(Random(20, 8), parameter, false));
}

TEST(Draw, MoreSamplesKeepTheFirstOnes) {
  const v1::Parameter parameter = From(v1::Distribution::KIND_LOG_UNIFORM, 1e-4, 1e-2);
  auto longer = Draw(Random(50), parameter, false);
  longer.resize(20);
  EXPECT_THAT(Draw(Random(20), parameter, false), ElementsAreArray(longer));
}

TEST(Draw, ParametersAreDrawnApart) {
  const std::vector<std::string> values = {"0", "1", "2", "3"};
  EXPECT_NE(Draw(Random(20), Choice(values, "train.seed"), true),
            Draw(Random(20), Choice(values, "train.steps"), true));
}

// 4000 draws from 4 values: 1000 each, with a standard deviation of sqrt(4000 * 1/4 * 3/4) = 27.4.
TEST(Draw, ChoosesEvenlyAmongValues) {
  std::map<std::string, int> counts;
  for (const std::string& value : Draw(Random(4000), Choice({"pre", "post", "mix", "lns"}), false))
    ++counts[value];
  ASSERT_EQ(counts.size(), 4U);
  for (const auto& [value, count] : counts) EXPECT_NEAR(count, 1000, 5 * 27.4) << value;
}

// Uniform on [2, 6]: mean 4, standard deviation 4 / sqrt(12).
TEST(Draw, UniformNumbersFillTheirRange) {
  const auto numbers = Numbers(From(v1::Distribution::KIND_UNIFORM, 2, 6), 10'000);
  EXPECT_THAT(numbers, Each(::testing::AllOf(::testing::Ge(2), ::testing::Le(6))));
  EXPECT_NEAR(MeanOf(numbers, Same), 4, 5 * 4 / std::sqrt(12 * 10'000));
}

// The logarithm is uniform on [log 1e-4, log 1e-2], whose middle is log 1e-3.
TEST(Draw, LogUniformNumbersAreUniformInTheirLogarithm) {
  const auto numbers = Numbers(From(v1::Distribution::KIND_LOG_UNIFORM, 1e-4, 1e-2), 10'000);
  EXPECT_THAT(numbers, Each(::testing::AllOf(::testing::Ge(1e-4), ::testing::Le(1e-2))));
  EXPECT_NEAR(MeanOf(numbers, std::log), std::log(1e-3), 5 * std::log(100) / std::sqrt(12 * 10'000));
}

TEST(Draw, WholeNumbersIncludeBothEnds) {
  const auto uniform = Numbers(From(v1::Distribution::KIND_UNIFORM, -1, 2), 400, true);
  EXPECT_EQ(std::set<double>(uniform.begin(), uniform.end()), (std::set<double>{-1, 0, 1, 2}));
  const auto log = Numbers(From(v1::Distribution::KIND_LOG_UNIFORM, 1, 4), 400, true);
  EXPECT_EQ(std::set<double>(log.begin(), log.end()), (std::set<double>{1, 2, 3, 4}));
  // P(1) = log(2 / 1) / log(5 / 1) = 0.43; a uniform draw would have 0.25.
  EXPECT_GT(std::count(log.begin(), log.end(), 1), 140);
}

TEST(Draw, RoundingDoesNotLeaveTheRange) {
  const double least = 0.12345678, greatest = 0.12345681;
  EXPECT_THAT(Numbers(From(v1::Distribution::KIND_UNIFORM, least, greatest), 100),
              Each(::testing::AllOf(::testing::Ge(least), ::testing::Le(greatest))));
  EXPECT_THAT(Draw(Random(3), From(v1::Distribution::KIND_UNIFORM, 0.3, 0.3), false), Each("0.3"));
}

TEST(Draw, ALargeRangeDoesNotOverflow) {
  EXPECT_THAT(Numbers(From(v1::Distribution::KIND_UNIFORM, -1.7e308, 1.7e308), 100),
              Each(::testing::Truly([](double x) { return std::isfinite(x); })));
}

TEST(IsDrawn, RandomAndAshaWithSamples) {
  v1::SearchSpec search;
  EXPECT_FALSE(IsDrawn(search));
  search.set_strategy(v1::STRATEGY_ASHA);
  EXPECT_FALSE(IsDrawn(search));
  search.set_samples(1);
  EXPECT_TRUE(IsDrawn(search));
}

}  // namespace
}  // namespace mixln::coordinator::search
