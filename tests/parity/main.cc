// mixln-parity FOLDER: runs the engine on what FOLDER/request.json asks for and writes FOLDER/result.json, so
// that tests in Python can compare it with other implementations. Tensors lie one behind the other in a file
// of their type:
//
//   request.json   the model; "threads"; "tensors": [{name, shape}] of weights.f32, empty: the initial
//   weights;
//                  "batches": [{batch, time, mask, lr}] of tokens.i64 [batch, time + 1] and, where "mask",
//                  mask.u8; "initialize": whether all batches are the first global batch, from which initial
//                  weights may depend; "outputs": any of logits, gradients (both of the first batch),
//                  parameters
//   result.json    "losses": mean negative log-likelihood and "gradient_norms" of each batch; "parameters";
//   "tensors" of
//                  output.f32
//
// Every batch with an "lr" is followed by an update. With "serve", the program then reads numbers of steps
// from standard input and answers each with the seconds they took: for benchmarks.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "worker/trainer/engine/engine.h"

namespace {

using mixln::worker::trainer::engine::Engine;
using mixln::worker::trainer::engine::EngineOptions;
using nlohmann::json;

EngineOptions OptionsOf(const json& model) {
  EngineOptions options;
  options.vocab_size = model.at("vocab_size");
  options.hidden_size = model.at("hidden_size");
  options.intermediate_size = model.at("intermediate_size");
  options.layers = model.at("layers");
  options.heads = model.at("heads");
  options.kv_heads = model.at("kv_heads");
  options.rope_theta = model.at("rope_theta");
  options.norm_eps = model.at("norm_eps");
  options.tie_embeddings = model.at("tie_embeddings");
  for (const std::string name : model.at("placements")) {
    options.placements.push_back(mixln::worker::trainer::norm::ParsePlacement(name));
  }
  options.norm_kind = model.at("norm_kind") == "layernorm" ? mixln::worker::trainer::norm::Kind::kLayer
                                                           : mixln::worker::trainer::norm::Kind::kRms;
  options.scaled_init = model.at("scaled_init");
  options.seed = model.at("seed");
  options.bf16 = model.at("bf16");
  options.weight_decay = model.at("weight_decay");
  options.clip_norm = model.at("clip_norm");
  options.context = model.at("context");
  return options;
}

at::Tensor Read(std::ifstream& file, const std::vector<int64_t>& shape, at::ScalarType type) {
  at::Tensor tensor = at::empty(shape, type);
  file.read(static_cast<char*>(tensor.data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
  if (!file) throw std::runtime_error("an input file ends too early");
  return tensor;
}

struct Batch {
  at::Tensor tokens;
  at::Tensor mask;
  double targets;
  std::optional<double> lr;
};

std::vector<Batch> ReadBatches(const std::string& folder, const json& request) {
  std::ifstream tokens(folder + "/tokens.i64", std::ios::binary);
  std::ifstream masks(folder + "/mask.u8", std::ios::binary);
  std::vector<Batch> batches;
  for (const json& entry : request.at("batches")) {
    const int64_t rows = entry.at("batch");
    const int64_t time = entry.at("time");
    Batch batch;
    batch.tokens = Read(tokens, {rows, time + 1}, at::kLong);
    batch.targets = static_cast<double>(rows * time);
    if (entry.at("mask")) {
      batch.mask = Read(masks, {rows, time}, at::kByte);
      batch.targets = batch.mask.sum().item<double>();
    }
    if (entry.contains("lr")) batch.lr = entry.at("lr").get<double>();
    batches.push_back(batch);
  }
  return batches;
}

void LoadWeights(const std::string& folder, const json& tensors, Engine& engine) {
  std::map<std::string, at::Tensor> masters;
  for (const auto& state : engine.States()) masters[state.name] = state.master;
  if (tensors.size() != masters.size()) throw std::runtime_error("the request has another number of weights");
  std::ifstream file(folder + "/weights.f32", std::ios::binary);
  for (const json& entry : tensors) {
    masters.at(entry.at("name")).copy_(Read(file, entry.at("shape").get<std::vector<int64_t>>(), at::kFloat));
  }
}

void Serve(Engine& engine, const std::vector<Batch>& batches) {
  for (int64_t steps = 0; std::cin >> steps;) {
    const auto start = std::chrono::steady_clock::now();
    for (int64_t step = 0; step < steps; ++step) {
      const Batch& batch = batches[static_cast<size_t>(step) % batches.size()];
      engine.ForwardBackward(batch.tokens, batch.mask, batch.targets);
      engine.Update(1e-4, false);
    }
    std::cout << std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() << std::endl;
  }
}

void Run(const std::string& folder) {
  const json request = json::parse(std::ifstream(folder + "/request.json"));
  at::set_num_threads(request.at("threads"));
  Engine engine(OptionsOf(request.at("model")));
  if (!request.at("tensors").empty()) LoadWeights(folder, request.at("tensors"), engine);
  const std::vector<Batch> batches = ReadBatches(folder, request);
  if (request.value("initialize", false)) {
    std::vector<at::Tensor> tokens;
    for (const Batch& batch : batches) tokens.push_back(batch.tokens);
    engine.InitializeFromBatch(tokens);
  }

  json result = {
      {"parameters", engine.parameters()}, {"losses", json::array()}, {"gradient_norms", json::array()}};
  result["tensors"] = json::array();
  std::ofstream output(folder + "/output.f32", std::ios::binary);
  const auto write = [&](const std::string& name, const at::Tensor& tensor) {
    const at::Tensor whole = tensor.contiguous();
    output.write(static_cast<const char*>(whole.const_data_ptr()),
                 static_cast<std::streamsize>(whole.nbytes()));
    result["tensors"].push_back({{"name", name}, {"shape", whole.sizes().vec()}});
  };
  const std::vector<std::string> outputs = request.at("outputs");
  const auto wanted = [&](const char* name) {
    return std::find(outputs.begin(), outputs.end(), name) != outputs.end();
  };

  bool first = true;
  for (const Batch& batch : batches) {
    if (first && wanted("logits")) {
      write("logits", engine.Logits(batch.tokens.narrow(1, 0, batch.tokens.size(1) - 1)));
      result["evaluated"] = engine.Evaluate(batch.tokens, batch.mask) / batch.targets;
    }
    result["losses"].push_back(engine.ForwardBackward(batch.tokens, batch.mask, batch.targets) /
                               batch.targets);
    if (first && wanted("gradients")) {
      for (const auto& gradient : engine.Gradients()) write("gradient:" + gradient.name, gradient.gradient);
    }
    if (batch.lr) result["gradient_norms"].push_back(engine.Update(*batch.lr, false).gradient_norm);
    first = false;
  }
  if (wanted("parameters")) {
    for (const auto& state : engine.States()) write("parameter:" + state.name, state.master);
  }
  output.close();
  std::ofstream(folder + "/result.json") << result.dump();
  if (request.value("serve", false)) {
    std::cout << "ready" << std::endl;
    Serve(engine, batches);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: mixln-parity FOLDER...\n";
    return 64;
  }
  try {
    for (int i = 1; i < argc; ++i) Run(argv[i]);
  } catch (const std::exception& error) {
    std::cerr << "mixln-parity: " << error.what() << '\n';
    return 70;
  }
  return 0;
}
