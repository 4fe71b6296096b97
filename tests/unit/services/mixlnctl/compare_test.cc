// `compare` and `report` against a coordinator in this process: a sweep of two alphas over two seeds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/file/durable.h"
#include "fake_coordinator.h"
#include "fake_world.h"
#include "services/mixlnctl/report_page.h"

namespace mixln::services::mixlnctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class CompareTest : public testing::Test {
 protected:
  CompareTest() {
    world.variables["MIXLN_COORDINATOR"] = coordinator.address;
    v1::Sweep& sweep = coordinator.sweeps["demo"];
    sweep.set_id("demo");
    sweep.set_uid("5eed");
    sweep.mutable_counts()->set_succeeded(4);
    sweep.set_source_text("metadata: {name: <demo>}");
    coordinator.results.set_unigram_perplexity(900);
    AddRow("0.5", 2, {0, 1}, 30, 1.0)->set_best(true);
    AddRow("0", 0, {2, 3}, 40, 2.0);
  }

  // Two seeds whose evaluation losses at steps 10, 20 and 30 are 5, 4 and 3 for the first, 0.5 more for the
  // second.
  v1::ResultRow* AddRow(const std::string& alpha, int post_layers, std::vector<int> trials, double mean,
                        double spread) {
    v1::ResultRow* row = coordinator.results.add_rows();
    v1::CellParameter parameter;
    parameter.set_path("norm.alpha");
    parameter.set_value(alpha);
    *row->add_parameters() = parameter;
    row->set_placement(v1::PLACEMENT_MIX);
    row->set_alpha(std::stod(alpha));
    row->set_post_layers(post_layers);
    row->set_perplexity_mean(mean);
    row->set_perplexity_stddev(spread);
    row->mutable_counts()->set_succeeded(2);
    for (const int index : trials) {
      const std::string id = absl::StrCat("demo-", index);
      row->add_trial_ids(id);
      v1::Trial& trial = coordinator.trials[id];
      trial.set_id(id);
      trial.set_sweep_id("demo");
      trial.set_index(index);
      trial.set_state(v1::TRIAL_STATE_SUCCEEDED);
      *trial.add_parameters() = parameter;
      trial.mutable_spec()->mutable_model()->set_layers(2);
      trial.mutable_spec()->mutable_norm()->set_placement(v1::PLACEMENT_MIX);
      trial.mutable_spec()->mutable_norm()->set_alpha(std::stod(alpha));
      trial.mutable_spec()->mutable_norm()->set_post_layers(post_layers);
      trial.mutable_spec()->mutable_norm()->add_layer_placements(v1::PLACEMENT_POST);
      trial.mutable_spec()->mutable_train()->set_seed(index % 2);
      trial.mutable_progress()->set_finished(true);
      trial.mutable_progress()->set_perplexity(mean);
      for (const int64_t step : {10, 20, 30}) {
        for (const char* metric : {"eval_loss", "loss"}) {
          v1::Curve& curve = coordinator.curves[absl::StrCat(id, " ", metric)];
          curve.add_steps(step);
          curve.add_values(6 - static_cast<double>(step) / 10 + (index % 2 == 0 ? 0 : 0.5));
        }
      }
      for (int layer = 1; layer <= 2; ++layer) {
        v1::Curve& curve = coordinator.curves[absl::StrCat(id, " layer_gradient_norm/", layer)];
        curve.add_steps(10);
        curve.add_values(0.25 * layer);
      }
    }
    return row;
  }

  FakeCoordinator coordinator;
  FakeWorld world;
};

TEST_F(CompareTest, ShowsWhatDiffersTheNumbersAndTheCurvesSideBySide) {
  ASSERT_EQ(world.Run({"compare", "demo"}), 0) << world.Err();
  const std::string out = world.Out();
  EXPECT_THAT(out, testing::ContainsRegex("alpha=0.5 +alpha=0\n"));
  EXPECT_THAT(out, testing::ContainsRegex("\nnorm.post_layers +2 +0\n"));
  EXPECT_THAT(out, testing::ContainsRegex("\nperplexity +★ 30.00 ± 1.00 +40.00 ± 2.00\n"));
  EXPECT_THAT(out, testing::ContainsRegex("\nagainst the first +\\+10.00 \\(\\+33.3%\\)\n"));
  // Means over two seeds that are 0.5 apart.
  EXPECT_THAT(out, testing::ContainsRegex("\nloss at step 10 +5.250 +5.250\n"));
  EXPECT_THAT(out, testing::ContainsRegex("\nloss at step 30 +3.250 +3.250\n"));
  EXPECT_THAT(out, Not(HasSubstr("train.seed"))) << "both have the same seeds";
  EXPECT_THAT(out, Not(HasSubstr("layer_placements"))) << "alpha says it";
}

TEST_F(CompareTest, TrialsHaveTheirOwnSeedsAndOnlyCommonSteps) {
  v1::Curve& shorter = coordinator.curves["demo-3 eval_loss"];
  shorter.mutable_steps()->RemoveLast();
  shorter.mutable_values()->RemoveLast();
  ASSERT_EQ(world.Run({"compare", "demo-0", "demo-3", "-o", "json"}), 0) << world.Err();
  const auto json = nlohmann::json::parse(world.Out());
  ASSERT_EQ(json["candidates"].size(), 2U);
  EXPECT_EQ(json["candidates"][0]["name"], "demo-0");
  EXPECT_EQ(json["candidates"][0]["differing_settings"]["train.seed"], "0");
  EXPECT_EQ(json["candidates"][1]["differing_settings"]["train.seed"], "1");
  EXPECT_EQ(json["common_steps"], nlohmann::json({10, 20}));
  EXPECT_EQ(json["candidates"][0]["eval_loss"]["mean"], nlohmann::json({5.0, 4.0, 3.0}));
}

TEST_F(CompareTest, OneTrialAloneIsNoComparison) {
  EXPECT_EQ(world.Run({"compare", "demo-0"}), 1);
  EXPECT_THAT(world.Err(), HasSubstr("nothing to compare demo-0 with"));
}

TEST_F(CompareTest, AReportIsWrittenWhereItIsAskedFor) {
  const std::string path = (world.folder / "page.html").string();
  ASSERT_EQ(world.Run({"report", "demo", "--to", path}), 0) << world.Err();
  EXPECT_THAT(world.Err(), HasSubstr(path));
  EXPECT_EQ(world.Out(), "");
  const std::string page = *base::ReadFile(path);
  EXPECT_THAT(page,
              HasSubstr("Best: alpha = 0.5 (2 post-norm layers), perplexity 30.00 ± 1.00 over 2 seeds."));
  for (const char* section : {"results", "alpha", "evaluation", "training", "gradients", "file"})
    EXPECT_THAT(page, HasSubstr(absl::StrCat("<section id=\"", section, "\">")));
  EXPECT_THAT(page, HasSubstr("{name: &lt;demo&gt;}"));
  ASSERT_EQ(world.Run({"report", "demo", "--to", "-"}), 0);
  EXPECT_THAT(world.Out(), testing::StartsWith("<!DOCTYPE html>"));
}

// Two standard errors of a difference of two means of two seeds each: 2 * sqrt(1/2 + 4/2) = 3.16.
TEST_F(CompareTest, ReportsWhetherTheDistanceIsMoreThanSeedsAloneDo) {
  EXPECT_THAT(
      Findings(coordinator.results)[1],
      HasSubstr("The next is alpha = 0 (0 post-norm layers), 10.00 above it (33.3%). That is more than seeds "
                "alone do: two standard errors are 3.16."));
  coordinator.results.mutable_rows(1)->set_perplexity_mean(33);
  EXPECT_THAT(Findings(coordinator.results)[1], HasSubstr("within what seeds alone do"));
  coordinator.results.mutable_rows(1)->mutable_counts()->set_succeeded(1);
  EXPECT_THAT(Findings(coordinator.results)[1], HasSubstr("One seed says nothing"));
}

TEST_F(CompareTest, ReportsWhatHasNotEndedAndWhatDiverged) {
  coordinator.results.mutable_rows(0)->set_best(false);
  coordinator.results.mutable_rows(1)->mutable_counts()->set_running(1);
  coordinator.results.mutable_rows(1)->mutable_counts()->set_diverged(2);
  EXPECT_THAT(Findings(coordinator.results),
              ElementsAre("No configuration has a result yet.", HasSubstr("2 trials diverged"),
                          HasSubstr("1 trial did not end yet")));
}

}  // namespace
}  // namespace mixln::services::mixlnctl
