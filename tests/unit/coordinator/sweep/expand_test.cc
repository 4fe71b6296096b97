#include "coordinator/sweep/expand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "good_file.h"

namespace mixln::coordinator::sweep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Expansion ExpandText(const std::string& text) {
  ParseResult result = Parse(text, "s.yaml", false);
  EXPECT_TRUE(result.problems.empty()) << ProblemsOf(text);
  return Expand(result.spec);
}

TEST(Expand, WalksTheGridWithTheLastParameterFastest) {
  const Expansion expansion = ExpandText(kGoodFile);
  ASSERT_EQ(expansion.cells.size(), 6U);
  std::vector<std::string> points;
  for (const v1::Cell& cell : expansion.cells) {
    EXPECT_EQ(cell.index(), static_cast<int>(points.size()));
    points.push_back(cell.parameters(0).value() + "/" + cell.parameters(1).value());
    EXPECT_EQ(cell.spec().train().seed(), std::stoi(cell.parameters(1).value()));
    EXPECT_EQ(cell.spec().norm().post_layers(), cell.parameters(0).value() == "0" ? 0 : 4);
  }
  EXPECT_THAT(points, ElementsAre("0/0", "0/1", "0/2", "0.5/0", "0.5/1", "0.5/2"));
  EXPECT_TRUE(expansion.notes.empty());
}

TEST(Expand, KeepsValuesAsWritten) {
  const Expansion expansion = ExpandText(Edited("norm.alpha: [0, 0.5]", "train.lr: [1e-3, 2.50E-3]"));
  EXPECT_EQ(expansion.cells[3].parameters(0).path(), "train.lr");
  EXPECT_EQ(expansion.cells[3].parameters(0).value(), "2.50E-3");
  EXPECT_DOUBLE_EQ(expansion.cells[3].spec().train().lr(), 0.0025);
}

TEST(Expand, ASweepWithoutParametersIsOneCell) {
  std::string text = kGoodFile;
  text.resize(text.find("  sweep:"));
  const Expansion expansion = ExpandText(text);
  ASSERT_EQ(expansion.cells.size(), 1U);
  EXPECT_EQ(expansion.cells[0].parameters_size(), 0);
  EXPECT_EQ(expansion.cells[0].spec().norm().post_layers(), 2);
}

// floor(0.1 * 8 + 1/2) = floor(0.125 * 8 + 1/2) = 1.
TEST(Expand, MergesAlphasOfOneNumberOfPostLayersAndSaysSoOnce) {
  const Expansion expansion = ExpandText(Edited("[0, 0.5]", "[0, 0.1, 0.125]"));
  EXPECT_EQ(expansion.cells.size(), 6U);
  const std::string note = "norm.alpha 0.1 and 0.125 both give 1 post layer of 8: merged into one cell";
  EXPECT_THAT(expansion.notes, ElementsAre(note));
  EXPECT_THAT(expansion.cells[0].notes(), ElementsAre());
  EXPECT_THAT(expansion.cells[3].notes(), ElementsAre(note));
  EXPECT_EQ(expansion.cells[3].parameters(0).value(), "0.1");
  EXPECT_EQ(expansion.cells[3].spec().norm().alpha(), 0.1);
}

TEST(Expand, NamesAllAlphasThatWereMerged) {
  const Expansion expansion = ExpandText(Edited("[0, 0.5]", "[0.5, 0.49, 0.51]"));
  EXPECT_THAT(expansion.notes,
              ElementsAre("norm.alpha 0.5, 0.49 and 0.51 all give 4 post layers of 8: merged into one cell"));
}

TEST(Expand, MergesValuesThatAreListedTwiceOrSpelledTwoWays) {
  EXPECT_THAT(ExpandText(Edited("[0, 1, 2]", "[0, 1, 0]")).notes,
              ElementsAre("train.seed 0 is given more than once: merged into one cell"));
  EXPECT_THAT(ExpandText(Edited("norm.alpha: [0, 0.5]", "train.lr: [1e-3, 0.001]")).notes,
              ElementsAre("train.lr 1e-3 and 0.001 both give the same trial: merged into one cell"));
}

TEST(Expand, AlphaMeansNothingToPreAndPost) {
  const Expansion expansion = ExpandText(Edited("placement: mix, alpha: 0.25", "placement: pre"));
  EXPECT_EQ(expansion.cells.size(), 3U);
  EXPECT_THAT(expansion.notes,
              ElementsAre("norm.alpha 0 and 0.5 both mean nothing to placement pre: merged into one cell"));
}

TEST(Expand, SweepsThePlacementAndThePreset) {
  const Expansion expansion = ExpandText(Edited("norm.alpha: [0, 0.5]", "norm.placement: [pre, post, mix]"));
  ASSERT_EQ(expansion.cells.size(), 9U);
  EXPECT_EQ(expansion.cells[0].spec().norm().post_layers(), 0);
  EXPECT_EQ(expansion.cells[3].spec().norm().post_layers(), 8);
  EXPECT_EQ(expansion.cells[6].spec().norm().post_layers(), 2);
}

TEST(Expand, GivesNothingForWhatCannotBeExpanded) {
  v1::SweepSpec spec;
  for (const char* path : {"train.seed", "norm.alpha", "train.lr"}) {
    v1::Parameter& parameter = *spec.mutable_sweep()->add_parameters();
    parameter.set_path(path);
    for (int i = 0; i < 1000; ++i) parameter.add_values(std::to_string(i));
  }
  EXPECT_TRUE(Expand(spec).cells.empty()) << "a billion cells";
  spec.mutable_sweep()->mutable_parameters()->DeleteSubrange(1, 2);
  spec.mutable_sweep()->mutable_parameters(0)->set_values(7, "seven");
  EXPECT_TRUE(Expand(spec).cells.empty());
  spec.mutable_sweep()->mutable_parameters(0)->set_path("no.such.field");
  EXPECT_TRUE(Expand(spec).cells.empty());
  spec.Clear();
  spec.mutable_base()->mutable_model()->set_layers(2'000'000'000);
  ASSERT_EQ(Expand(spec).cells.size(), 1U);
  EXPECT_TRUE(Expand(spec).cells[0].spec().norm().layer_placements().empty());
}

}  // namespace
}  // namespace mixln::coordinator::sweep
