// The plugin for GPUs, loaded as a trainer loads it and driven by the whole engine, against the engine on the
// CPU. The emulated one (label unit) shows that the table is filled and called right; the real one (label
// gpu) is skipped where there is no GPU.
#include "worker/trainer/device/plugin.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <optional>

#include "worker/trainer/engine/engine.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::device {
namespace {

using engine::Engine;
using engine::EngineOptions;
using norm::Placement;

constexpr int64_t kVocabulary = 23;

EngineOptions Tiny(std::vector<Placement> placements, bool bf16) {
  EngineOptions options;
  options.vocab_size = kVocabulary;
  options.hidden_size = 16;
  options.intermediate_size = 20;
  options.layers = static_cast<int64_t>(placements.size());
  options.heads = 2;
  options.kv_heads = bf16 ? 2 : 1;
  options.context = 7;
  options.placements = std::move(placements);
  options.bf16 = bf16;
  options.weight_decay = 0.1;
  options.clip_norm = 0.5;
  return options;
}

at::Tensor Tokens(int64_t seed) {
  at::manual_seed(static_cast<uint64_t>(seed));
  return at::randint(kVocabulary, {2, 8}, at::kLong);
}

double Distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a.cpu() - b).norm() / (b.norm() + 1e-12)).item<double>();
}

class Plugin : public testing::Test {
 protected:
  void SetUp() override {
#ifdef MIXLN_EMULATED_PLUGIN
    setenv("MIXLN_GPU_PLUGIN", MIXLN_EMULATED_PLUGIN, 1);
    device_ = &OpenGpu(0, true);
#else
    setenv("MIXLN_GPU_PLUGIN", MIXLN_REAL_PLUGIN, 1);
    try {
      device_ = &OpenGpu(0, true);
    } catch (const error::ConfigError& none) {
      GTEST_SKIP() << none.what();
    }
#endif
  }

  // Both train for some steps, of two micro-batches each, one of which is masked in part.
  void ExpectTheSameTraining(const EngineOptions& options, double loss_limit, double weight_limit) {
    constexpr int kSteps = 3;
    Engine cpu(options);
    Engine gpu(options, nullptr, *device_);
    const at::Tensor mask = at::ones({2, 7}, at::kByte);
    mask[1].narrow(0, 3, 4).zero_();
    if (cpu.depends_on_first_batch()) {
      cpu.InitializeFromBatch({Tokens(0), Tokens(1)});
      gpu.InitializeFromBatch({Tokens(0), Tokens(1)});
    }
    for (int step = 0; step < kSteps; ++step) {
      double expected = 0;
      double found = 0;
      for (int micro = 0; micro < 2; ++micro) {
        const at::Tensor tokens = Tokens(2 * step + micro);
        const at::Tensor part = micro == 0 ? mask : at::Tensor();
        diagnostics::ActivationVariance cpu_variance;
        diagnostics::ActivationVariance gpu_variance;
        expected += cpu.ForwardBackward(tokens, part, 24, &cpu_variance);
        found += gpu.ForwardBackward(tokens, part, 24, &gpu_variance);
        for (size_t layer = 0; layer < cpu_variance.Mean().size(); ++layer)
          EXPECT_NEAR(gpu_variance.Mean()[layer] / cpu_variance.Mean()[layer], 1, 100 * loss_limit);
      }
      EXPECT_NEAR(found / expected, 1, loss_limit) << "step " << step;
      const auto cpu_report = cpu.Update(1e-2, true);
      const auto gpu_report = gpu.Update(1e-2, true);
      EXPECT_NEAR(gpu_report.gradient_norm / cpu_report.gradient_norm, 1, weight_limit);
      EXPECT_EQ(gpu_report.layer_gradient_norms.size(), cpu_report.layer_gradient_norms.size());
    }
    EXPECT_NEAR(gpu.Evaluate(Tokens(9), mask) / cpu.Evaluate(Tokens(9), mask), 1, loss_limit);
    EXPECT_LT(Distance(gpu.Logits(Tokens(9).narrow(1, 0, 7)), cpu.Logits(Tokens(9).narrow(1, 0, 7))),
              weight_limit);
    const auto expected = cpu.States();
    const auto found = gpu.States();
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_LT(Distance(found[i].master, expected[i].master), weight_limit) << expected[i].name;
  }

  const Device* device_ = nullptr;
};

class PluginPlacements : public Plugin, public testing::WithParamInterface<Placement> {};

TEST_P(PluginPlacements, TrainAsOnTheCpu) {
  ExpectTheSameTraining(Tiny({GetParam(), GetParam()}, false), 1e-5, 1e-3);
}

INSTANTIATE_TEST_SUITE_P(All, PluginPlacements,
                         testing::Values(Placement::kPre, Placement::kPost, Placement::kSandwich,
                                         Placement::kDeepNorm, Placement::kAdmin, Placement::kLns,
                                         Placement::kGroup, Placement::kDlcl),
                         [](const auto& placement) { return std::string(norm::Name(placement.param)); });

TEST_F(Plugin, TrainsMixAsOnTheCpu) {
  ExpectTheSameTraining(Tiny({Placement::kPost, Placement::kPre, Placement::kPre}, false), 1e-5, 1e-3);
}

// Two bf16 computations differ by their roundings, as do two ranks' of one.
TEST_F(Plugin, TrainsInBf16AsOnTheCpu) {
  ExpectTheSameTraining(Tiny({Placement::kPost, Placement::kPre}, true), 2e-2, 5e-2);
}

TEST_F(Plugin, TrainsOtherFormsAsOnTheCpu) {
  EngineOptions options = Tiny({Placement::kPost, Placement::kPre}, false);
  options.tie_embeddings = true;
  options.norm_kind = norm::Kind::kLayer;
  options.activation_checkpointing = true;
  ExpectTheSameTraining(options, 1e-5, 1e-3);
}

TEST_F(Plugin, GivesTheSameBitsInEachRun) {
  const auto train = [&] {
    Engine engine(Tiny({Placement::kPost, Placement::kPre}, false), nullptr, *device_);
    engine.ForwardBackward(Tokens(1), at::Tensor(), 14);
    engine.Update(1e-2, false);
    std::vector<at::Tensor> masters;
    for (const auto& state : engine.States()) masters.push_back(state.master.cpu().clone());
    return at::cat(masters);
  };
  EXPECT_TRUE(at::equal(train(), train()));
}

TEST_F(Plugin, SaysWhatItIs) {
  EXPECT_EQ(device_->kind, "cuda");
  EXPECT_THAT(device_->instruction_set, testing::StartsWith("sm_"));
  EXPECT_GT(device_->available_bytes(), 0);
}

std::string Refusal(const std::string& plugin, const std::string& machine, int gpu = 0) {
  setenv("MIXLN_GPU_PLUGIN", plugin.c_str(), 1);
  setenv("MIXLN_EMULATED_GPU", machine.c_str(), 1);
  try {
    OpenGpu(gpu, true);
    return "";
  } catch (const error::ConfigError& refused) {
    return refused.what();
  }
}

TEST(OpenGpu, SaysThatThereIsNoPlugin) {
  EXPECT_EQ(Refusal("/nowhere/libmixln_cuda.so", ""),
            "gpu: is 0, but this build has no kernels for GPUs: /nowhere/libmixln_cuda.so is missing; run "
            "scripts/bootstrap --cuda and build again, or train on CPUs");
}

TEST(OpenGpu, SaysThatAFileIsNoPlugin) {
  EXPECT_THAT(Refusal("/proc/self/exe", ""), testing::HasSubstr("cannot be loaded: "));
}

#ifdef MIXLN_EMULATED_PLUGIN
TEST(OpenGpu, MakesKernelsDeterministicWhereTheTrialAsksForIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a process opens a GPU once
  for (const bool deterministic : {true, false}) {
    EXPECT_EXIT(
        {
          setenv("MIXLN_GPU_PLUGIN", MIXLN_EMULATED_PLUGIN, 1);
          OpenGpu(0, deterministic);
          std::_Exit(at::globalContext().deterministicAlgorithms() ? 1 : 2);
        },
        testing::ExitedWithCode(deterministic ? 1 : 2), "");
  }
}

TEST(OpenGpu, SaysWhyThereIsNoGpu) {
  EXPECT_EQ(Refusal(MIXLN_EMULATED_PLUGIN, "none"),
            "gpu: is 0, but this machine has no GPU; train on CPUs, or on another worker");
  EXPECT_THAT(Refusal(MIXLN_EMULATED_PLUGIN, "no driver"), testing::HasSubstr("has no NVIDIA driver"));
  EXPECT_THAT(Refusal(MIXLN_EMULATED_PLUGIN, "old driver"), testing::HasSubstr("driver is too old"));
  EXPECT_EQ(Refusal(MIXLN_EMULATED_PLUGIN, "old gpu"),
            "gpu: is 0, but that GPU (Emulated) has compute capability 7.5; 8.0 (A100) or later is needed");
  EXPECT_EQ(Refusal(MIXLN_EMULATED_PLUGIN, "", 1),
            "gpu: is 1, but this machine has 1, which are counted from 0");
}
#endif

}  // namespace
}  // namespace mixln::worker::trainer::device
