// Every file in examples/ is a valid sweep, and the paper's are the paper's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "coordinator/sweep/expand.h"
#include "coordinator/sweep/parse.h"
#include "coordinator/sweep/resolve.h"

namespace mixln::coordinator::sweep {
namespace {

// Problems and expansions of all examples by file name.
std::map<std::string, Expansion> ExpandExamples() {
  std::map<std::string, Expansion> expansions;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(MIXLN_SOURCE_DIR) / "examples")) {
    if (entry.path().extension() != ".yaml") continue;
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const ParseResult result = Parse(text.str(), entry.path().filename(), false);
    for (const Problem& problem : result.problems) ADD_FAILURE() << Format(problem);
    expansions[entry.path().filename()] = Expand(result.spec);
  }
  return expansions;
}

TEST(Examples, AllExpandWithoutARemark) {
  const auto expansions = ExpandExamples();
  EXPECT_GE(expansions.size(), 5U);
  for (const auto& [file, expansion] : expansions) {
    EXPECT_FALSE(expansion.cells.empty()) << file;
    EXPECT_TRUE(expansion.notes.empty()) << file;
  }
}

TEST(Examples, TheDemoComparesFourAlphasOverTwoSeedsOfAnEightLayerModel) {
  const auto expansions = ExpandExamples();
  const auto& cells = expansions.at("alpha-sweep.yaml").cells;
  ASSERT_EQ(cells.size(), 8U);
  std::map<int, int> seeds_by_post_layers;
  for (const v1::Cell& cell : cells) {
    EXPECT_EQ(cell.spec().model().layers(), 8);
    EXPECT_EQ(cell.spec().model().vocab_size(), 1024);
    EXPECT_EQ(cell.spec().train().precision(), v1::PRECISION_FP32);
    ++seeds_by_post_layers[cell.spec().norm().post_layers()];
  }
  EXPECT_THAT(seeds_by_post_layers, testing::ElementsAre(testing::Pair(0, 2), testing::Pair(2, 2),
                                                         testing::Pair(4, 2), testing::Pair(8, 2)));
}

TEST(Examples, TheSearchDrawsAlphaAndLearningRateTogether) {
  const auto expansions = ExpandExamples();
  const auto& cells = expansions.at("asha-search.yaml").cells;
  ASSERT_EQ(cells.size(), 16U);
  for (const v1::Cell& cell : cells) {
    EXPECT_GE(cell.spec().train().lr(), 3e-4);
    EXPECT_LE(cell.spec().train().lr(), 3e-2);
    EXPECT_EQ(cell.spec().train().steps(), 320);
  }
}

TEST(Examples, ThePlacementsExampleComparesAllPlacements) {
  const auto expansions = ExpandExamples();
  std::vector<std::string> placements;
  for (const v1::Cell& cell : expansions.at("placements.yaml").cells) {
    placements.push_back(PlacementName(cell.spec().norm().placement()));
  }
  EXPECT_THAT(placements, testing::UnorderedElementsAre("pre", "post", "mix", "sandwich", "deepnorm", "admin",
                                                        "lns", "group", "dlcl"));
}

// The table of sizes in the paper (arXiv 2412.13795): parameters in millions, steps, peak learning rate,
// warm-up.
TEST(Examples, ThePapersSettingsAreThePapers) {
  struct Row {
    const char* file;
    double millions;
    int64_t steps;
    double lr;
    int64_t warmup_steps;
    std::vector<int> post_layers;
  };
  const auto expansions = ExpandExamples();
  for (const Row& row : {Row{"paper-71m.yaml", 70.6, 10'000, 1e-3, 1'000, {0, 3, 12}},
                         Row{"paper-130m.yaml", 134.1, 20'000, 1e-3, 2'000, {0, 3, 12}},
                         Row{"paper-250m.yaml", 247.4, 40'000, 1e-3, 4'000, {0, 6, 24}},
                         Row{"paper-1b.yaml", 1339, 100'000, 5e-4, 1'000, {0, 4, 6, 8, 10, 12, 24}}}) {
    std::vector<int> post_layers;
    for (const v1::Cell& cell : expansions.at(row.file).cells) {
      const v1::TrialSpec& spec = cell.spec();
      post_layers.push_back(spec.norm().post_layers());
      EXPECT_NEAR(static_cast<double>(ParameterCount(spec)) / 1e6, row.millions, row.millions * 5e-4);
      EXPECT_EQ(spec.train().steps(), row.steps);
      EXPECT_EQ(spec.train().lr(), row.lr);
      EXPECT_EQ(spec.train().warmup_steps(), row.warmup_steps);
      EXPECT_EQ(spec.train().batch().sequences(), 512);
      EXPECT_EQ(spec.train().schedule(), v1::SCHEDULE_COSINE);
      EXPECT_EQ(spec.train().min_lr_ratio(), 0.1);
      EXPECT_EQ(spec.train().beta1(), 0.9);
      EXPECT_EQ(spec.train().beta2(), 0.999);
      EXPECT_EQ(spec.train().adam_eps(), 1e-8);
      EXPECT_EQ(spec.train().weight_decay(), 0);
      EXPECT_EQ(spec.train().clip_norm(), 0);
      EXPECT_EQ(spec.data().context(), 256);
      EXPECT_EQ(spec.data().reading(), v1::READING_PADDED);
      EXPECT_EQ(spec.eval().tokens(), 10'000'000);
      EXPECT_NEAR(spec.init().embedding_std(), std::sqrt(2.0 / 5), 1e-6);
      EXPECT_FALSE(spec.model().tie_embeddings());
    }
    EXPECT_EQ(post_layers, row.post_layers) << row.file;
  }
}

}  // namespace
}  // namespace mixln::coordinator::sweep
