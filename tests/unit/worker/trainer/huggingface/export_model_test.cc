#include "worker/trainer/huggingface/export_model.h"

#include <ATen/Functions.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "worker/trainer/checkpoint/checkpoint_writer.h"

namespace mixln::worker::trainer::huggingface {
namespace {

using ::testing::ElementsAre;

// In no order of names.
std::vector<engine::NamedState> States() {
  const auto state = [](const std::string& name, const std::vector<int64_t>& shape, int64_t first) {
    const int64_t size = shape.size() == 1 ? shape[0] : shape[0] * shape[1];
    return engine::NamedState{name,
                              shape,
                              0,
                              shape.size() == 1,
                              at::arange(first, first + size, at::kFloat),
                              at::zeros({size}),
                              at::ones({size})};
  };
  return {state("model.norm.weight", {2}, 100),
          state("model.embed_tokens.weight", {5, 2}, 200),
          state("model.layers.0.self_attn.q_proj.weight", {2, 2}, 300),
          state("model.layers.0.mlp.down_proj.weight", {2, 4}, 400),
          state("model.layers.0.input_layernorm.weight", {2}, 500),
          state("lm_head.weight", {5, 2}, 600)};
}

checkpoint::Manifest Example() {
  checkpoint::Manifest manifest;
  manifest.trial_id = "alpha-1";
  manifest.step = 40;
  manifest.layer_placements = {"pre"};
  manifest.spec_json =
      R"({"model":{"hidden_size":2,"intermediate_size":4,"layers":1,"heads":1,"kv_heads":1,"rope_theta":10000.0,)"
      R"("norm_eps":1e-6,"tie_embeddings":false},"data":{"context":8},"norm":{},"train":{}})";
  return manifest;
}

class ExportModelTest : public testing::Test {
 protected:
  ExportModelTest() : folder_(testing::TempDir() + "/export-" + std::to_string(getpid())) {
    std::filesystem::remove_all(folder_);
  }
  ~ExportModelTest() override { std::filesystem::remove_all(folder_); }

  // The weights' file of what is exported.
  std::string Export(const std::string& checkpoint, const std::string& to) {
    ExportModel({checkpoint, folder_ + "/" + to});
    std::ostringstream text;
    text << std::ifstream(folder_ + "/" + to + "/model.safetensors", std::ios::binary).rdbuf();
    return text.str();
  }
  std::string WriteByOne(const std::vector<engine::NamedState>& states) {
    const std::string attempt = folder_ + "/one";
    return attempt + "/" + checkpoint::WriteCheckpoint(attempt, Example(), states, {}, {})->path;
  }
  // Rank 0 has the first three elements of each matrix, and rank 1 the rest, in another order of tensors.
  std::string WriteByTwo() {
    const std::string attempt = folder_ + "/two";
    std::map<std::string, std::string> said;
    std::optional<checkpoint::Written> written;
    for (const int rank : {1, 0}) {
      std::vector<engine::NamedState> states = States();
      for (engine::NamedState& state : states) {
        if (state.replicated) continue;
        state.begin = rank == 0 ? 0 : 3;
        for (at::Tensor* part : {&state.master, &state.exp_avg, &state.exp_avg_sq})
          *part = part->narrow(0, state.begin, rank == 0 ? 3 : part->numel() - 3);
      }
      if (rank == 0) std::swap(states.front(), states.back());
      written = checkpoint::WriteCheckpoint(
          attempt, Example(), states,
          {rank, 2, [&](const std::string& name, const std::string& text) { said[name] = text; },
           [&](const std::string& name) { return said.at(name); }},
          {});
    }
    return attempt + "/" + written->path;
  }

  std::string folder_;
};

TEST_F(ExportModelTest, WritesTheMastersInTheOrderOfTheirNames) {
  const std::string file = Export(WriteByOne(States()), "model");
  uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  const auto header = nlohmann::ordered_json::parse(file.substr(sizeof length, length));
  std::vector<std::string> names;
  std::vector<float> first;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    names.push_back(name);
    std::memcpy(&first.emplace_back(),
                file.data() + sizeof length + length + entry.at("data_offsets").at(0).get<size_t>(),
                sizeof(float));
  }
  EXPECT_THAT(names,
              ElementsAre("lm_head.weight", "model.embed_tokens.weight",
                          "model.layers.0.input_layernorm.weight", "model.layers.0.mlp.down_proj.weight",
                          "model.layers.0.self_attn.q_proj.weight", "model.norm.weight"));
  EXPECT_THAT(first, ElementsAre(600, 200, 500, 400, 300, 100));
}

TEST_F(ExportModelTest, TheSameWeightsAreTheSameBytesWhateverRanksWroteThem) {
  EXPECT_EQ(Export(WriteByTwo(), "of two"), Export(WriteByOne(States()), "of one"));
}

}  // namespace
}  // namespace mixln::worker::trainer::huggingface
