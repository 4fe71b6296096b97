#include "worker/trainer/config/config.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "worker/trainer/config/object_reader.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::config {
namespace {

template <typename Number>
void ReadPositive(ObjectReader& reader, const char* name, Number& out) {
  reader.Read(name, out);
  reader.Require(out > 0, name, "must be above 0");
}

template <typename Number>
void ReadNotNegative(ObjectReader& reader, const char* name, Number& out) {
  reader.Read(name, out);
  reader.Require(out >= 0, name, "must not be below 0");
}

// Of one layer, as the trial's vector names them.
constexpr std::initializer_list<const char*> kLayerPlacements = {"pre",   "post", "sandwich", "deepnorm",
                                                                 "admin", "lns",  "group",    "dlcl"};
// Of a model.
constexpr std::initializer_list<const char*> kPlacements = {"pre",   "post", "mix",   "sandwich", "deepnorm",
                                                            "admin", "lns",  "group", "dlcl",     "custom"};

// An enum's value by its name in lower case.
std::string ReadName(ObjectReader& reader, const char* name, const char* prefix,
                     std::initializer_list<const char*> names) {
  return names.begin()[reader.ReadEnum(name, prefix, names)];
}

Fence ReadFence(ObjectReader reader) {
  Fence fence;
  reader.Read("term", fence.term);
  reader.Read("epoch", fence.epoch);
  reader.Finish();
  return fence;
}

Model ReadModel(ObjectReader reader) {
  Model model;
  reader.Read("preset", model.preset);
  ReadNotNegative(reader, "vocab_size", model.vocab_size);
  ReadPositive(reader, "hidden_size", model.hidden_size);
  ReadPositive(reader, "intermediate_size", model.intermediate_size);
  ReadPositive(reader, "layers", model.layers);
  ReadPositive(reader, "heads", model.heads);
  reader.Require(model.hidden_size % model.heads == 0, "heads",
                 "must divide hidden_size " + std::to_string(model.hidden_size));
  reader.Require(model.hidden_size / model.heads % 2 == 0, "heads",
                 "rotary positions need an even head size, not " +
                     std::to_string(model.hidden_size / model.heads) + " channels");
  ReadNotNegative(reader, "kv_heads", model.kv_heads);
  reader.Require(model.kv_heads == 0 || model.heads % model.kv_heads == 0, "kv_heads",
                 "must divide heads " + std::to_string(model.heads));
  ReadPositive(reader, "rope_theta", model.rope_theta);
  ReadNotNegative(reader, "norm_eps", model.norm_eps);
  reader.Read("tie_embeddings", model.tie_embeddings);
  reader.Finish();
  return model;
}

Norm ReadNorm(ObjectReader reader, int32_t layers) {
  Norm norm;
  norm.placement = ReadName(reader, "placement", "PLACEMENT", kPlacements);
  reader.Read("alpha", norm.alpha);
  reader.Require(norm.alpha >= 0 && norm.alpha <= 1, "alpha", "must lie in [0, 1]");
  reader.Read("post_layers", norm.post_layers);
  reader.Require(norm.post_layers >= 0 && norm.post_layers <= layers, "post_layers",
                 "must lie in [0, " + std::to_string(layers) + "], the model's layers");
  for (const int place : reader.ReadEnums("layer_placements", "PLACEMENT", kLayerPlacements)) {
    norm.layer_placements.emplace_back(kLayerPlacements.begin()[place]);
  }
  reader.Require(norm.layer_placements.size() == static_cast<size_t>(layers), "layer_placements",
                 "must have one entry for each of the " + std::to_string(layers) + " layers, not " +
                     std::to_string(norm.layer_placements.size()));
  norm.kind = ReadName(reader, "kind", "NORM_KIND", {"rmsnorm", "layernorm"});
  reader.Finish();
  return norm;
}

Init ReadInit(ObjectReader reader) {
  Init init;
  ReadPositive(reader, "std", init.std);
  ReadPositive(reader, "embedding_std", init.embedding_std);
  reader.Read("scaled", init.scaled);
  reader.Read("from", init.from);
  reader.Require(init.from.empty() || init.from.starts_with('/'), "from",
                 "must be an absolute path, or empty");
  reader.Finish();
  return init;
}

Tokenizer ReadTokenizer(ObjectReader reader) {
  Tokenizer tokenizer;
  reader.Read("model", tokenizer.model);
  if (reader.Has("train")) {  // a message: absent when it is not set
    ObjectReader train = reader.ReadObject("train");
    ReadPositive(train, "vocab", tokenizer.train_vocab.emplace());
    train.Finish();
  }
  reader.Finish();
  return tokenizer;
}

Data ReadData(ObjectReader reader) {
  Data data;
  reader.Read("source", data.source);
  data.tokenizer = ReadTokenizer(reader.ReadObject("tokenizer"));
  data.reading =
      reader.ReadEnum("reading", "READING", {"packed", "padded"}) == 0 ? Reading::kPacked : Reading::kPadded;
  ReadPositive(reader, "context", data.context);
  reader.Require(data.context >= 2 || data.reading == Reading::kPacked, "context",
                 "a padded row needs at least 2 tokens to have a target");
  ReadNotNegative(reader, "validation_fraction", data.validation_fraction);
  data.split = ReadName(reader, "split", "DOCUMENT_SPLIT", {"file", "line", "paragraph"});
  reader.Finish();
  return data;
}

Batch ReadBatch(ObjectReader reader) {
  Batch batch;
  ReadPositive(reader, "sequences", batch.sequences);
  ReadNotNegative(reader, "micro_sequences", batch.micro_sequences);
  reader.Finish();
  return batch;
}

Train ReadTrain(ObjectReader reader) {
  Train train;
  ReadPositive(reader, "steps", train.steps);
  train.batch = ReadBatch(reader.ReadObject("batch"));
  ReadNotNegative(reader, "lr", train.lr);
  ReadNotNegative(reader, "warmup_steps", train.warmup_steps);
  train.schedule = std::array{Schedule::kCosine, Schedule::kConstant, Schedule::kWsd}.at(
      static_cast<size_t>(reader.ReadEnum("schedule", "SCHEDULE", {"cosine", "constant", "wsd"})));
  reader.Read("min_lr_ratio", train.min_lr_ratio);
  reader.Require(train.min_lr_ratio >= 0 && train.min_lr_ratio <= 1, "min_lr_ratio", "must lie in [0, 1]");
  reader.Read("decay_share", train.decay_share);
  reader.Require(train.decay_share >= 0 && train.decay_share <= 1, "decay_share", "must lie in [0, 1]");
  for (const auto& [name, beta] : {std::pair{"beta1", &train.beta1}, std::pair{"beta2", &train.beta2}}) {
    reader.Read(name, *beta);
    reader.Require(*beta >= 0 && *beta < 1, name, "must lie in [0, 1)");
  }
  ReadPositive(reader, "adam_eps", train.adam_eps);
  ReadNotNegative(reader, "weight_decay", train.weight_decay);
  ReadNotNegative(reader, "clip_norm", train.clip_norm);
  train.precision =
      reader.ReadEnum("precision", "PRECISION", {"fp32", "bf16"}) == 0 ? Precision::kFp32 : Precision::kBf16;
  reader.Read("seed", train.seed);
  reader.Read("deterministic", train.deterministic);
  reader.Finish();
  return train;
}

Eval ReadEval(ObjectReader reader) {
  Eval eval;
  ReadNotNegative(reader, "every_steps", eval.every_steps);
  ReadNotNegative(reader, "tokens", eval.tokens);
  reader.Finish();
  return eval;
}

Resources ReadResources(ObjectReader reader) {
  Resources resources;
  resources.device = std::vector{
      "auto", "cpu", "gpu"}[static_cast<size_t>(reader.ReadEnum("device", "DEVICE", {"auto", "cpu", "gpu"}))];
  ReadPositive(reader, "ranks", resources.ranks);
  reader.Read("priority", resources.priority);
  reader.Finish();
  return resources;
}

Sharding ReadSharding(ObjectReader reader) {
  Sharding sharding;
  sharding.accumulate = reader.ReadEnum("accumulate", "ACCUMULATE", {"reduce_each", "no_sync"}) == 0
                            ? Accumulate::kReduceEach
                            : Accumulate::kNoSync;
  reader.Read("reshard_after_forward", sharding.reshard_after_forward);
  reader.Read("activation_checkpointing", sharding.activation_checkpointing);
  reader.Finish();
  return sharding;
}

Spec ReadSpec(ObjectReader reader) {
  Spec spec;
  spec.model = ReadModel(reader.ReadObject("model"));
  spec.norm = ReadNorm(reader.ReadObject("norm"), spec.model.layers);
  spec.init = ReadInit(reader.ReadObject("init"));
  spec.data = ReadData(reader.ReadObject("data"));
  spec.train = ReadTrain(reader.ReadObject("train"));
  spec.eval = ReadEval(reader.ReadObject("eval"));
  ObjectReader checkpoint = reader.ReadObject("checkpoint");
  ReadNotNegative(checkpoint, "every_steps", spec.checkpoint_every_steps);
  checkpoint.Finish();
  spec.resources = ReadResources(reader.ReadObject("resources"));
  ObjectReader retry = reader.ReadObject("retry");
  ReadNotNegative(retry, "max_retries", spec.max_retries);
  retry.Finish();
  ObjectReader limits = reader.ReadObject("limits");
  ReadNotNegative(limits, "max_runtime_seconds", spec.max_runtime_seconds);
  limits.Read("detect_collapse", spec.detect_collapse);
  limits.Finish();
  spec.sharding = ReadSharding(reader.ReadObject("sharding"));
  reader.Finish();
  return spec;
}

void ReadAbsolutePath(ObjectReader& reader, const char* name, std::string& out) {
  reader.Read(name, out);
  reader.Require(out.starts_with('/'), name, "must be an absolute path");
}

// The library keeps the last of two equal keys without a word, so they are counted while it parses.
nlohmann::json ParseWithoutDoubledKeys(std::string_view text) {
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.get<std::string>()).second) {
      throw error::ConfigError(value.get<std::string>() + ": stands twice in one object");
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, check);
  } catch (const nlohmann::json::exception& problem) {
    throw error::ConfigError(std::string("is no JSON: ") + problem.what());
  }
}

}  // namespace

TrialConfig ParseTrialConfig(std::string_view text) {
  const nlohmann::json file = ParseWithoutDoubledKeys(text);
  ObjectReader reader(file, "");
  TrialConfig config;
  reader.Read("trial_id", config.trial_id);
  config.fence = ReadFence(reader.ReadObject("fence"));
  ReadPositive(reader, "world_size", config.world_size);
  reader.Read("rank", config.rank);
  reader.Require(config.rank >= 0 && config.rank < config.world_size, "rank",
                 "must lie in [0, world_size " + std::to_string(config.world_size) + ")");
  reader.Read("rendezvous", config.rendezvous);
  config.spec = ReadSpec(reader.ReadObject("spec"));
  ReadAbsolutePath(reader, "dataset_dir", config.dataset_dir);
  ReadAbsolutePath(reader, "attempt_dir", config.attempt_dir);
  reader.Read("resume_from", config.resume_from);
  reader.Require(config.resume_from.empty() || config.resume_from.starts_with('/'), "resume_from",
                 "must be an absolute path, or empty to start anew");
  ReadPositive(reader, "threads", config.threads);
  reader.Read("gpu", config.gpu);
  reader.Require(config.gpu >= -1, "gpu", "must be a GPU's number, or -1 for the CPU");
  reader.Read("address", config.address);
  reader.Require(config.world_size == 1 || !config.address.empty(), "address",
                 "must say where the other ranks reach this one");
  reader.Finish();
  config.spec_json = file.at("spec").dump();
  return config;
}

TrialConfig ReadTrialConfig(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!(file && text << file.rdbuf())) throw error::ConfigError(path + ": cannot be read");
  try {
    return ParseTrialConfig(text.view());
  } catch (const error::ConfigError& problem) {
    throw error::ConfigError(path + ": " + problem.what());
  }
}

}  // namespace mixln::worker::trainer::config
