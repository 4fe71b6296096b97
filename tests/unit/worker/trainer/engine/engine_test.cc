#include "worker/trainer/engine/engine.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>
#include <stdexcept>

namespace mixln::worker::trainer::engine {
namespace {

using testing::HasSubstr;

EngineOptions Small(bool bf16) {
  EngineOptions options;
  options.vocab_size = 19;
  options.hidden_size = 12;
  options.intermediate_size = 20;
  options.layers = 2;
  options.heads = 2;
  options.kv_heads = 2;
  options.context = 8;
  options.placements = {norm::Placement::kPost, norm::Placement::kPre};
  options.bf16 = bf16;
  return options;
}

at::Tensor Tokens(int64_t rows, int64_t columns) {
  return at::arange(rows * columns).remainder(19).view({rows, columns});
}

// Embedding and head 2·19·12; a layer 4·12² + 3·12·20 + 2·12; the last norm 12.
TEST(Engine, CountsItsParameters) {
  EXPECT_EQ(Engine(Small(false)).parameters(), 456 + 2 * 1320 + 12);
}

// The sweep's test of the same name counts the same model.
TEST(Engine, CountsWhatEachPlacementLearns) {
  const auto beyond_pre = [](norm::Placement placement) {
    EngineOptions options = Small(false);
    options.hidden_size = 8;
    options.layers = 3;
    options.placements.assign(3, norm::Placement::kPre);
    const int64_t pre = Engine(options).parameters();
    options.placements.assign(3, placement);
    return Engine(options).parameters() - pre;
  };
  for (const auto placement :
       {norm::Placement::kPost, norm::Placement::kDeepNorm, norm::Placement::kLns, norm::Placement::kGroup}) {
    EXPECT_EQ(beyond_pre(placement), 0) << norm::Name(placement);
  }
  EXPECT_EQ(beyond_pre(norm::Placement::kSandwich), 3 * 2 * 8);          // two more norms a layer
  EXPECT_EQ(beyond_pre(norm::Placement::kAdmin), 3 * 2 * 8);             // two omegas a layer
  EXPECT_EQ(beyond_pre(norm::Placement::kDlcl), 3 * 8 + 1 + 2 + 3 + 4);  // a norm a layer, rows of W
}

TEST(Engine, LaysParametersOn64Bytes) {
  Engine engine(Small(false));
  for (const NamedState& state : engine.States()) {
    // k, v and up lie right behind q and gate, so that one product computes them together.
    const bool joined = state.name.find("k_proj") != std::string::npos ||
                        state.name.find("v_proj") != std::string::npos ||
                        state.name.find("up_proj") != std::string::npos;
    if (joined) continue;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(state.master.data_ptr()) % 64, 0U) << state.name;
  }
}

TEST(Engine, AddsUpTheGradientsOfMicroBatches) {
  Engine whole(Small(false));
  Engine parts(Small(false));
  const at::Tensor tokens = Tokens(4, 6);
  const double loss = whole.ForwardBackward(tokens, at::Tensor(), 20);
  double sum = 0;
  for (int64_t row = 0; row < 4; ++row)
    sum += parts.ForwardBackward(tokens.narrow(0, row, 1), at::Tensor(), 20);
  EXPECT_NEAR(sum / loss, 1.0, 1e-6);
  const auto expected = whole.Gradients();
  const auto found = parts.Gradients();
  for (size_t i = 0; i < expected.size(); ++i) {
    const double difference = (expected[i].gradient - found[i].gradient).norm().item<double>();
    EXPECT_LE(difference, 1e-5 * expected[i].gradient.norm().item<double>()) << expected[i].name;
  }
}

TEST(Engine, GoesOnFromSavedStatesBitForBit) {
  for (const bool bf16 : {false, true}) {
    Engine original(Small(bf16));
    const auto step = [](Engine& engine) {
      engine.ForwardBackward(Tokens(2, 7), at::Tensor(), 12);
      return engine.Update(1e-2, false).gradient_norm;
    };
    step(original);
    step(original);
    EngineOptions other_start = Small(bf16);
    other_start.seed = 5;
    Engine resumed(other_start);
    const auto from = original.States();
    const auto to = resumed.States();
    for (size_t i = 0; i < from.size(); ++i) {
      to[i].master.copy_(from[i].master);
      to[i].exp_avg.copy_(from[i].exp_avg);
      to[i].exp_avg_sq.copy_(from[i].exp_avg_sq);
    }
    resumed.StatesWritten();
    resumed.set_updates(original.updates());
    EXPECT_EQ(step(original), step(resumed));
    EXPECT_TRUE(at::equal(original.Logits(Tokens(1, 8)), resumed.Logits(Tokens(1, 8))));
  }
}

TEST(Engine, ReportsNormsOfEachLayer) {
  Engine engine(Small(false));
  engine.ForwardBackward(Tokens(2, 7), at::Tensor(), 12);
  double squares = 0;
  std::vector<double> layers(2);
  for (const NamedGradient& gradient : engine.Gradients()) {
    const double square = gradient.gradient.to(at::kDouble).pow(2).sum().item<double>();
    squares += square;
    for (size_t layer = 0; layer < 2; ++layer) {
      if (gradient.name.find("layers." + std::to_string(layer) + ".") != std::string::npos)
        layers[layer] += square;
    }
  }
  const UpdateReport report = engine.Update(1e-3, true);
  EXPECT_NEAR(report.gradient_norm, std::sqrt(squares), 1e-6 * std::sqrt(squares));
  ASSERT_EQ(report.layer_gradient_norms.size(), 2U);
  for (size_t layer = 0; layer < 2; ++layer) {
    EXPECT_NEAR(report.layer_gradient_norms[layer], std::sqrt(layers[layer]),
                1e-6 * std::sqrt(layers[layer]));
  }
}

// By the same sums over the masters before and after, in fp64.
TEST(Engine, ReportsHowFarTheUpdateMovedEachLayer) {
  EngineOptions options = Small(false);
  options.weight_decay = 0.1;
  Engine engine(options);
  engine.ForwardBackward(Tokens(2, 7), at::Tensor(), 12);
  std::vector<at::Tensor> before;
  for (const NamedState& state : engine.States()) before.push_back(state.master.to(at::kDouble));
  const UpdateReport report = engine.Update(1e-2, true);
  ASSERT_EQ(report.layer_update_ratios.size(), 2U);
  const std::vector<NamedState> states = engine.States();
  for (size_t layer = 0; layer < 2; ++layer) {
    double update = 0;
    double weight = 0;
    for (size_t i = 0; i < states.size(); ++i) {
      if (states[i].name.find("layers." + std::to_string(layer) + ".") == std::string::npos) continue;
      update += (states[i].master.to(at::kDouble) - before[i]).pow(2).sum().item<double>();
      weight += before[i].pow(2).sum().item<double>();
    }
    EXPECT_NEAR(report.layer_update_ratios[layer], std::sqrt(update / weight),
                1e-6 * std::sqrt(update / weight));
  }
  EXPECT_TRUE(engine.Update(1e-2, false).layer_update_ratios.empty());
}

TEST(Engine, ReportsTheVarianceOfEachLayersOutput) {
  Engine engine(Small(false));
  diagnostics::ActivationVariance variance;
  engine.ForwardBackward(Tokens(2, 7), at::Tensor(), 12, &variance);
  const std::vector<double> layers = variance.Mean();
  ASSERT_EQ(layers.size(), 2U);
  // A post layer ends in an RMSNorm whose weights start as 1: the mean square is 1, so the variance is 1 less
  // the square of a small mean. The pre layer behind it adds something.
  EXPECT_GT(layers[0], 0.7);
  EXPECT_LE(layers[0], 1.0);
  EXPECT_NE(layers[0], layers[1]);
}

TEST(Engine, SaysWhatIsWrongWithItsOptions) {
  EngineOptions options = Small(false);
  options.heads = 5;
  try {
    Engine engine(options);
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("5 heads, hidden_size 12"));
  }
}

TEST(Engine, RefusesPlacementsThatItsModelCannotHave) {
  EngineOptions options = Small(false);
  options.placements = {norm::Placement::kPre, norm::Placement::kDlcl};
  EXPECT_THROW(Engine{options}, std::invalid_argument);
  options.placements = {norm::Placement::kPre, norm::Placement::kGroup};  // 12 channels
  EXPECT_THROW(Engine{options}, std::invalid_argument);
  options.placements = {norm::Placement::kPre, norm::Placement::kDeepNorm};
  EXPECT_NO_THROW(Engine{options});
  options.scaled_init = true;
  EXPECT_THROW(Engine{options}, std::invalid_argument);
}

TEST(Engine, RefusesATokenOutsideOfTheVocabulary) {
  Engine engine(Small(false));
  EXPECT_THROW(engine.Evaluate(at::full({1, 3}, 19, at::kLong), at::Tensor()), std::invalid_argument);
  EXPECT_THROW(engine.Evaluate(Tokens(1, 10), at::Tensor()),
               std::invalid_argument);  // longer than the context
}

}  // namespace
}  // namespace mixln::worker::trainer::engine
