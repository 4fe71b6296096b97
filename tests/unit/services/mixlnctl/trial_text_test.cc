#include "services/mixlnctl/trial_text.h"

#include <gtest/gtest.h>

#include <string>

namespace mixln::services::mixlnctl {
namespace {

TEST(ValuesText, NamesValuesOrTheRange) {
  v1::Parameter parameter;
  for (const std::string value : {"0", "0.50"}) parameter.add_values(value);
  EXPECT_EQ(ValuesText(parameter), "0, 0.50");
  parameter.clear_values();
  parameter.mutable_distribution()->set_kind(v1::Distribution::KIND_LOG_UNIFORM);
  parameter.mutable_distribution()->set_min(1e-4);
  parameter.mutable_distribution()->set_max(0.01);
  EXPECT_EQ(ValuesText(parameter), "log_uniform from 0.0001 to 0.01");
}

TEST(SearchText, SaysHowCellsAreChosenAndWhoGoesOn) {
  v1::SearchSpec search;
  search.set_strategy(v1::STRATEGY_RANDOM);
  search.set_samples(20);
  search.set_seed(7);
  EXPECT_EQ(SearchText(search), "random, 20 draws with seed 7");
  search.set_strategy(v1::STRATEGY_ASHA);
  search.mutable_asha()->set_min_steps(100);
  search.mutable_asha()->set_reduction_factor(4);
  search.mutable_asha()->set_max_steps(1600);
  EXPECT_EQ(
      SearchText(search),
      "asha, 20 draws with seed 7, one trial in 4 goes on from step 100 and its 4-fold multiples below 1600");
}

}  // namespace
}  // namespace mixln::services::mixlnctl
