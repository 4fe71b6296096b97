#include "coordinator/sweep/resolve.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "coordinator/sweep/defaults.h"
#include "coordinator/sweep/presets.h"

namespace mixln::coordinator::sweep {
namespace {

v1::TrialSpec WithPreset(const std::string& preset) {
  v1::TrialSpec spec = Defaults();
  spec.mutable_model()->set_preset(preset);
  spec.mutable_model()->set_vocab_size(32000);
  return spec;
}

// The paper's sizes at a vocabulary of 32000 (arXiv 2412.13795), to the digits it gives.
TEST(ParameterCount, IsThatOfThePaperForEveryPreset) {
  const auto millions = [](const char* preset) {
    return static_cast<double>(ParameterCount(Resolve(WithPreset(preset)))) / 1e6;
  };
  EXPECT_NEAR(millions("llama-9m"), 9, 0.5);
  EXPECT_NEAR(millions("llama-71m"), 70.6, 0.05);
  EXPECT_NEAR(millions("llama-130m"), 134.1, 0.05);
  EXPECT_NEAR(millions("llama-250m"), 247.4, 0.05);
  EXPECT_NEAR(millions("llama-350m"), 368, 0.5);
  EXPECT_NEAR(millions("llama-1b"), 1339, 0.5);
  EXPECT_NEAR(millions("llama-7b"), 6738, 0.5);
}

v1::TrialSpec Tiny() {
  v1::TrialSpec spec = Defaults();
  v1::ModelSpec& model = *spec.mutable_model();
  model.set_vocab_size(10);
  model.set_hidden_size(8);
  model.set_intermediate_size(3);
  model.set_layers(1);
  model.set_heads(4);
  model.set_kv_heads(2);
  return spec;
}

TEST(ParameterCount, CountsATiedHeadOnceAndGroupedKeysAndValuesByTheirHeads) {
  v1::TrialSpec spec = Tiny();
  spec.mutable_model()->set_tie_embeddings(true);
  // Embedding 80; q and o 64 each; k and v 8 x 4 each; MLP 3 x 24; three norms of 8.
  EXPECT_EQ(ParameterCount(Resolve(spec)), 80 + 128 + 64 + 72 + 24);
}

// The engine's test of the same name counts the same model.
TEST(ParameterCount, CountsWhatEachPlacementLearns) {
  const auto beyond_pre = [](v1::Placement placement) {
    v1::TrialSpec spec = Tiny();
    spec.mutable_model()->set_layers(3);
    spec.mutable_norm()->set_placement(v1::PLACEMENT_PRE);
    const int64_t pre = ParameterCount(Resolve(spec));
    spec.mutable_norm()->set_placement(placement);
    return ParameterCount(Resolve(spec)) - pre;
  };
  for (const auto placement : {v1::PLACEMENT_POST, v1::PLACEMENT_MIX, v1::PLACEMENT_DEEPNORM,
                               v1::PLACEMENT_LNS, v1::PLACEMENT_GROUP}) {
    EXPECT_EQ(beyond_pre(placement), 0) << PlacementName(placement);
  }
  EXPECT_EQ(beyond_pre(v1::PLACEMENT_SANDWICH), 3 * 2 * 8);          // two more norms a layer
  EXPECT_EQ(beyond_pre(v1::PLACEMENT_ADMIN), 3 * 2 * 8);             // two omegas a layer
  EXPECT_EQ(beyond_pre(v1::PLACEMENT_DLCL), 3 * 8 + 1 + 2 + 3 + 4);  // a norm a layer, rows of W
}

// Rows of the paper's table for LLaMA-1B, 24 layers: 16.7 %, 25 %, 33 %, 41.7 % and 50 % are 4, 6, 8, 10 and
// 12 layers.
TEST(PostLayers, ReproducesThePapersTable) {
  EXPECT_EQ(PostLayers(0, 24), 0);
  EXPECT_EQ(PostLayers(0.167, 24), 4);
  EXPECT_EQ(PostLayers(0.25, 24), 6);
  EXPECT_EQ(PostLayers(0.33, 24), 8);
  EXPECT_EQ(PostLayers(0.417, 24), 10);
  EXPECT_EQ(PostLayers(0.5, 24), 12);
  EXPECT_EQ(PostLayers(1, 24), 24);
}

TEST(PostLayers, RoundsHalvesUpAndStaysWithinTheModel) {
  EXPECT_EQ(PostLayers(0.25, 2), 1);
  EXPECT_EQ(PostLayers(0.0624, 8), 0);
  EXPECT_EQ(PostLayers(0.0625, 8), 1);
  EXPECT_EQ(PostLayers(-3, 8), 0);
  EXPECT_EQ(PostLayers(3, 8), 8);
  EXPECT_EQ(PostLayers(std::numeric_limits<double>::quiet_NaN(), 8), 0);
}

TEST(Resolve, ExplicitSizesOverrideThePresets) {
  v1::TrialSpec spec = WithPreset("llama-71m");
  spec.mutable_model()->set_layers(4);
  const v1::ModelSpec model = Resolve(spec).model();
  EXPECT_EQ(model.layers(), 4);
  EXPECT_EQ(model.hidden_size(), 512);
  EXPECT_EQ(model.kv_heads(), 8);
  EXPECT_EQ(model.preset(), "llama-71m");
}

TEST(Resolve, TakesTheVocabularyOfATokenizerToBeTrained) {
  v1::TrialSpec spec = WithPreset("llama-9m");
  spec.mutable_model()->clear_vocab_size();
  EXPECT_EQ(Resolve(spec).model().vocab_size(), 0);
  spec.mutable_data()->mutable_tokenizer()->mutable_train()->set_vocab(4096);
  EXPECT_EQ(Resolve(spec).model().vocab_size(), 4096);
}

TEST(Resolve, MixIsPostFirstAndThenPre) {
  v1::TrialSpec spec = WithPreset("llama-9m");
  spec.mutable_norm()->set_alpha(0.25);
  const v1::NormSpec norm = Resolve(spec).norm();
  EXPECT_EQ(norm.post_layers(), 1);
  ASSERT_EQ(norm.layer_placements_size(), 4);
  EXPECT_EQ(norm.layer_placements(0), v1::PLACEMENT_POST);
  for (int layer = 1; layer < 4; ++layer) EXPECT_EQ(norm.layer_placements(layer), v1::PLACEMENT_PRE);
}

TEST(Resolve, PreAndPostSetAlphaThemselves) {
  for (const auto& [placement, alpha, post] :
       {std::tuple{v1::PLACEMENT_PRE, 0.0, 0}, std::tuple{v1::PLACEMENT_POST, 1.0, 4}}) {
    v1::TrialSpec spec = WithPreset("llama-9m");
    spec.mutable_norm()->set_placement(placement);
    const v1::NormSpec norm = Resolve(spec).norm();
    EXPECT_EQ(norm.alpha(), alpha);
    EXPECT_EQ(norm.post_layers(), post);
    for (int layer = 0; layer < 4; ++layer) EXPECT_EQ(norm.layer_placements(layer), placement);
  }
}

TEST(Resolve, AGivenVectorDecidesTheRest) {
  v1::TrialSpec spec = WithPreset("llama-9m");
  spec.mutable_norm()->Clear();
  for (const v1::Placement placement :
       {v1::PLACEMENT_PRE, v1::PLACEMENT_POST, v1::PLACEMENT_PRE, v1::PLACEMENT_PRE}) {
    spec.mutable_norm()->add_layer_placements(placement);
  }
  v1::NormSpec norm = Resolve(spec).norm();
  EXPECT_EQ(norm.placement(), v1::PLACEMENT_MIX);
  EXPECT_EQ(norm.post_layers(), 1);
  EXPECT_EQ(norm.alpha(), 0.25);
  EXPECT_EQ(norm.layer_placements(1), v1::PLACEMENT_POST);
  spec.mutable_norm()->set_layer_placements(1, v1::PLACEMENT_PRE);
  norm = Resolve(spec).norm();
  EXPECT_EQ(norm.placement(), v1::PLACEMENT_PRE);
  EXPECT_EQ(norm.alpha(), 0);
}

TEST(Resolve, AVectorOfOnePlacementIsThatAndOneOfSeveralIsCustom) {
  v1::TrialSpec spec = WithPreset("llama-9m");
  spec.mutable_norm()->Clear();
  for (int layer = 0; layer < 4; ++layer) spec.mutable_norm()->add_layer_placements(v1::PLACEMENT_LNS);
  EXPECT_EQ(Resolve(spec).norm().placement(), v1::PLACEMENT_LNS);
  EXPECT_EQ(Resolve(spec).norm().alpha(), 0);
  spec.mutable_norm()->set_layer_placements(0, v1::PLACEMENT_POST);
  const v1::NormSpec norm = Resolve(spec).norm();
  EXPECT_EQ(norm.placement(), v1::PLACEMENT_CUSTOM);
  EXPECT_EQ(norm.alpha(), 0);
  EXPECT_EQ(norm.post_layers(), 1);
  EXPECT_EQ(norm.layer_placements(3), v1::PLACEMENT_LNS);
}

TEST(Resolve, EveryOtherPlacementIsThatOfAllLayersAndHasNoAlpha) {
  for (const auto placement : {v1::PLACEMENT_SANDWICH, v1::PLACEMENT_DEEPNORM, v1::PLACEMENT_ADMIN,
                               v1::PLACEMENT_LNS, v1::PLACEMENT_GROUP, v1::PLACEMENT_DLCL}) {
    v1::TrialSpec spec = WithPreset("llama-9m");
    spec.mutable_norm()->set_placement(placement);
    const v1::NormSpec norm = Resolve(spec).norm();
    EXPECT_EQ(norm.alpha(), 0);
    EXPECT_EQ(norm.post_layers(), 0);
    EXPECT_EQ(norm.kind(), v1::NORM_KIND_RMSNORM);
    ASSERT_EQ(norm.layer_placements_size(), 4);
    for (int layer = 0; layer < 4; ++layer) EXPECT_EQ(norm.layer_placements(layer), placement);
  }
}

TEST(Resolve, TwiceChangesNothing) {
  for (const auto placement : {v1::PLACEMENT_MIX, v1::PLACEMENT_DLCL}) {
    v1::TrialSpec spec = WithPreset("llama-130m");
    spec.mutable_norm()->set_alpha(0.3);
    spec.mutable_norm()->set_placement(placement);
    const v1::TrialSpec once = Resolve(spec);
    EXPECT_EQ(Resolve(once).SerializeAsString(), once.SerializeAsString());
  }
}

TEST(Resolve, FillsInWhatAMessageLeavesOut) {
  v1::TrialSpec spec;
  spec.mutable_train()->set_steps(10);
  const v1::TrialSpec resolved = Resolve(spec);
  EXPECT_EQ(resolved.train().schedule(), v1::SCHEDULE_COSINE);
  EXPECT_EQ(resolved.resources().ranks(), 1);
  EXPECT_EQ(resolved.train().clip_norm(), 0) << "a number that is zero may be meant";
}

TEST(PlacementName, IsTheSpellingOfTheSweepFile) {
  EXPECT_EQ(PlacementName(v1::PLACEMENT_PRE), "pre");
  EXPECT_EQ(PlacementName(v1::PLACEMENT_POST), "post");
  EXPECT_EQ(PlacementName(v1::PLACEMENT_MIX), "mix");
  EXPECT_EQ(PlacementName(v1::PLACEMENT_DEEPNORM), "deepnorm");
  EXPECT_EQ(PlacementName(static_cast<v1::Placement>(99)), "unspecified");
}

}  // namespace
}  // namespace mixln::coordinator::sweep
