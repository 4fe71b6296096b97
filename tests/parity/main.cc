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
//   result.json    "peak_bytes" of all tensors together; "losses": mean negative log-likelihood and
//   "gradient_norms" of each batch; "parameters"; "tensors" of
//                  output.f32
//
// With --rank R --world-size N --rendezvous HOST:PORT it is one rank of N, joined as in training, or by Gloo
// with --gloo, which takes its share of each batch's rows and writes result-R.json and output-R.f32: "begin"
// and "elements" of a tensor say which of its elements it owns.
//
// With --gpu N it computes on that GPU, as training does. An answer's tensors are copied to the host.
//
// "micro" rows of a rank are computed at once; 0: all. Every batch with an "lr" is followed by an update;
// with "measure", result.json has "layer_update_ratios" of each.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <unordered_map>

#include "worker/trainer/device/plugin.h"
#include "worker/trainer/engine/engine.h"
#include "worker/trainer/fsdp/collectives.h"
#include "worker/trainer/fsdp/gloo.h"

namespace {

using mixln::worker::trainer::engine::Engine;
using mixln::worker::trainer::engine::EngineOptions;
namespace device = mixln::worker::trainer::device;
namespace fsdp = mixln::worker::trainer::fsdp;
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
  if (model.value("no_sync", false)) options.accumulate = fsdp::Accumulate::kNoSync;
  options.reshard_after_forward = model.value("reshard", true);
  options.activation_checkpointing = model.value("activation_checkpointing", false);
  return options;
}

at::Tensor Read(std::ifstream& file, const std::vector<int64_t>& shape, at::ScalarType type) {
  at::Tensor tensor = at::empty(shape, type);
  file.read(static_cast<char*>(tensor.data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
  if (!file) throw std::runtime_error("an input file ends too early");
  return tensor;
}

// The CPU allocator with a count of what it has given out. oneDNN wants memory whose context is the pointer
// itself, so sizes are kept beside.
class CountingAllocator : public c10::Allocator {
 public:
  static CountingAllocator& Get() {
    static auto* allocator = new CountingAllocator;  // tensors may outlive everything else
    return *allocator;
  }
  c10::DataPtr allocate(size_t bytes) override {
    void* memory = inner_->raw_allocate(bytes);
    const std::lock_guard lock(mutex_);
    sizes_[memory] = bytes;
    used_ += bytes;
    peak_ = std::max(peak_, used_);
    return {memory, memory, &Free, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
  size_t peak() {
    const std::lock_guard lock(mutex_);
    return peak_;
  }
  void Restart() {
    const std::lock_guard lock(mutex_);
    peak_ = used_;
  }

 private:
  static void Free(void* memory) {
    if (memory == nullptr) return;
    CountingAllocator& self = Get();
    {
      const std::lock_guard lock(self.mutex_);
      const auto found = self.sizes_.find(memory);
      self.used_ -= found->second;
      self.sizes_.erase(found);
    }
    self.inner_->raw_deallocate(memory);
  }
  c10::Allocator* inner_ = c10::GetCPUAllocator();
  std::mutex mutex_;
  std::unordered_map<void*, size_t> sizes_;
  size_t used_ = 0;
  size_t peak_ = 0;
};

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
  std::map<std::string, at::Tensor> weights;
  std::ifstream file(folder + "/weights.f32", std::ios::binary);
  for (const json& entry : tensors) {
    weights[entry.at("name")] =
        Read(file, entry.at("shape").get<std::vector<int64_t>>(), at::kFloat).view(-1);
  }
  const auto states = engine.States();
  if (tensors.size() != states.size()) throw std::runtime_error("the request has another number of weights");
  for (const auto& state : states) {
    at::Tensor master = state.master;
    master.copy_(weights.at(state.name).narrow(0, state.begin, master.numel()));
  }
  engine.StatesWritten();
}

// A batch's rows of this rank, in parts of at most `micro`: as many parts on every rank, where one that has
// no rows left computes a masked one.
std::vector<Batch> PartsOf(const Batch& batch, int64_t micro, int64_t rank, int64_t world_size) {
  const int64_t rows = batch.tokens.size(0);
  const int64_t begin = rows * rank / world_size;
  const int64_t end = rows * (rank + 1) / world_size;
  const int64_t largest = (rows + world_size - 1) / world_size;
  const int64_t size = micro == 0 ? largest : micro;
  std::vector<Batch> parts;
  for (int64_t first = 0; first < largest; first += size) {
    const int64_t from = std::min(begin + first, end);
    const int64_t count = std::min(size, end - from);
    Batch part = batch;
    part.tokens = count > 0 ? batch.tokens.narrow(0, from, count) : batch.tokens.narrow(0, 0, 1);
    if (count == 0) {
      part.mask = at::zeros({1, batch.tokens.size(1) - 1}, at::kByte);
    } else if (batch.mask.defined()) {
      part.mask = batch.mask.narrow(0, from, count);
    }
    parts.push_back(part);
  }
  return parts;
}

void Run(const std::string& folder, fsdp::Collectives* ranks, const device::Device& on,
         CountingAllocator& memory) {
  const json request = json::parse(std::ifstream(folder + "/request.json"));
  at::set_num_threads(request.at("threads"));
  memory.Restart();
  Engine engine(OptionsOf(request.at("model")), ranks, on);
  if (!request.at("tensors").empty()) LoadWeights(folder, request.at("tensors"), engine);
  const std::vector<Batch> batches = ReadBatches(folder, request);
  const int64_t rank = ranks == nullptr ? 0 : ranks->rank();
  const int64_t world_size = ranks == nullptr ? 1 : ranks->world_size();
  const std::string suffix = ranks == nullptr ? "" : "-" + std::to_string(rank);
  if (request.value("initialize", false)) {
    std::vector<at::Tensor> tokens;
    for (size_t i = static_cast<size_t>(rank); i < batches.size(); i += static_cast<size_t>(world_size))
      tokens.push_back(batches[i].tokens);
    engine.InitializeFromBatch(tokens);
  }

  json result = {
      {"parameters", engine.parameters()}, {"losses", json::array()}, {"gradient_norms", json::array()}};
  result["tensors"] = json::array();
  std::ofstream output(folder + "/output" + suffix + ".f32", std::ios::binary);
  const auto write = [&](const std::string& name, const std::vector<int64_t>& shape, int64_t begin,
                         const at::Tensor& tensor) {
    const at::Tensor whole = tensor.contiguous().cpu();
    output.write(static_cast<const char*>(whole.const_data_ptr()),
                 static_cast<std::streamsize>(whole.nbytes()));
    result["tensors"].push_back(
        {{"name", name}, {"shape", shape}, {"begin", begin}, {"elements", whole.numel()}});
  };
  const std::vector<std::string> outputs = request.at("outputs");
  const auto wanted = [&](const char* name) {
    return std::find(outputs.begin(), outputs.end(), name) != outputs.end();
  };
  // The mean loss of a batch over all ranks.
  const auto mean = [&](const Batch& batch, auto compute) {
    double sum = 0;
    for (const Batch& part : PartsOf(batch, request.at("micro"), rank, world_size)) sum += compute(part);
    if (ranks != nullptr) ranks->Sum(std::span(&sum, 1));
    return sum / batch.targets;
  };

  bool first = true;
  for (const Batch& batch : batches) {
    if (first && wanted("logits")) {
      const at::Tensor logits = engine.Logits(batch.tokens.narrow(1, 0, batch.tokens.size(1) - 1));
      write("logits", logits.sizes().vec(), 0, logits);
      result["evaluated"] =
          mean(batch, [&](const Batch& part) { return engine.Evaluate(part.tokens, part.mask); });
    }
    result["losses"].push_back(mean(batch, [&](const Batch& part) {
      return engine.ForwardBackward(part.tokens, part.mask, batch.targets);
    }));
    if (first && wanted("gradients")) {
      for (const auto& gradient : engine.Gradients())
        write("gradient:" + gradient.name, gradient.shape, gradient.begin, gradient.gradient);
    }
    if (batch.lr) {
      const auto report = engine.Update(*batch.lr, request.at("measure"));
      result["gradient_norms"].push_back(report.gradient_norm);
      result["layer_update_ratios"].push_back(report.layer_update_ratios);
    }
    first = false;
  }
  if (wanted("parameters")) {
    for (const auto& state : engine.States())
      write("parameter:" + state.name, state.shape, state.begin, state.master);
  }
  output.close();
  result["peak_bytes"] = static_cast<int64_t>(memory.peak()) + (ranks == nullptr ? 0 : ranks->mapped_bytes());
  std::ofstream(folder + "/result" + suffix + ".json") << result.dump();
}

struct Arguments {
  fsdp::RankOptions ranks;
  bool gloo = false;
  int gpu = -1;
  std::vector<std::string> folders;
};

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  arguments.ranks.address = "127.0.0.1";
  arguments.ranks.group = "parity";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--rank") {
      arguments.ranks.rank = std::stoi(argv[++i]);
    } else if (word == "--gloo") {
      arguments.gloo = true;
    } else if (word == "--gpu") {
      arguments.gpu = std::stoi(argv[++i]);
    } else if (word == "--world-size") {
      arguments.ranks.world_size = std::stoi(argv[++i]);
    } else if (word == "--rendezvous") {
      arguments.ranks.rendezvous = argv[++i];
    } else {
      arguments.folders.push_back(word);
    }
  }
  return arguments;
}

std::unique_ptr<fsdp::Collectives> Join(const Arguments& arguments, const device::Device& on) {
  if (arguments.ranks.rendezvous.empty()) return nullptr;
  if (arguments.gloo) return fsdp::JoinByGloo(std::make_shared<fsdp::Rendezvous>(arguments.ranks), on);
  return fsdp::Connect(arguments.ranks, on);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: mixln-parity [--rank R --world-size N --rendezvous HOST:PORT [--gloo]] [--gpu N] "
                 "FOLDER...\n";
    return 64;
  }
  CountingAllocator& memory = CountingAllocator::Get();
  c10::SetCPUAllocator(&memory, /*priority=*/100);
  try {
    const Arguments arguments = Parse(argc, argv);
    const device::Device& on = arguments.gpu < 0 ? mixln::worker::trainer::cpu::Cpu()
                                                 : device::OpenGpu(arguments.gpu, /*deterministic=*/true);
    const auto ranks = Join(arguments, on);
    for (const std::string& folder : arguments.folders) Run(folder, ranks.get(), on, memory);
  } catch (const std::exception& error) {
    std::cerr << "mixln-parity: " << error.what() << '\n';
    return 70;
  }
  return 0;
}
