#include "worker/trainer/huggingface/model_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "worker/trainer/checkpoint/manifest.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::huggingface {
namespace {

using Json = nlohmann::ordered_json;

// No activation has this name: LlamaForCausalLM ends with it in the error.
constexpr char kNoActivation[] = "this_is_mixln_and_not_llama";

Json OrNull(std::optional<int64_t> id) {
  return id ? Json(*id) : Json(nullptr);
}

[[noreturn]] void Refuse(const std::string& path, const std::string& what) {
  throw error::ConfigError(path + ": " + what);
}

template <typename Number>
Number Read(const nlohmann::json& json, const char* name, const std::string& path) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_number()) Refuse(path, std::string("has no number ") + name);
  return found->get<Number>();
}

bool IsNull(const nlohmann::json& json, const char* name) {
  return !json.contains(name) || json.at(name).is_null();
}

// transformers 5 keeps it in rope_parameters, older ones on its own.
double RopeTheta(const nlohmann::json& json, const std::string& path) {
  if (!IsNull(json, "rope_scaling")) Refuse(path, "has rope_scaling, which the engine has not");
  if (IsNull(json, "rope_parameters")) return Read<double>(json, "rope_theta", path);
  const nlohmann::json& rope = json.at("rope_parameters");
  if (!rope.is_object() || rope.value("rope_type", "default") != "default") {
    Refuse(path, "has rope_parameters " + rope.dump() + "; the engine has only the default type");
  }
  return Read<double>(rope, "rope_theta", path);
}

void RequireLlamaFeatures(const nlohmann::json& json, const ModelConfig& model, const std::string& path) {
  for (const char* name : {"attention_bias", "mlp_bias"}) {
    if (json.value(name, false)) Refuse(path, std::string("has ") + name + ", which the engine has not");
  }
  if (json.value("hidden_act", "silu") != "silu") {
    Refuse(path, "has hidden_act " + json.at("hidden_act").dump() + "; the engine has silu");
  }
  if (!IsNull(json, "head_dim") && Read<int64_t>(json, "head_dim", path) * model.heads != model.hidden_size) {
    Refuse(path, "has a head_dim that is not hidden_size / num_attention_heads");
  }
}

ModelConfig Parse(const nlohmann::json& json, const std::string& path) {
  const std::string type = json.value("model_type", "");
  if (type != "llama" && type != "mixln") {
    Refuse(path, "is of model_type \"" + type + "\"; a trial starts from llama (Pre-LN) or mixln");
  }
  ModelConfig model;
  model.vocab_size = Read<int64_t>(json, "vocab_size", path);
  model.hidden_size = Read<int64_t>(json, "hidden_size", path);
  model.intermediate_size = Read<int64_t>(json, "intermediate_size", path);
  model.layers = Read<int64_t>(json, "num_hidden_layers", path);
  model.heads = Read<int64_t>(json, "num_attention_heads", path);
  model.kv_heads =
      IsNull(json, "num_key_value_heads") ? model.heads : Read<int64_t>(json, "num_key_value_heads", path);
  model.context = Read<int64_t>(json, "max_position_embeddings", path);
  model.rope_theta = RopeTheta(json, path);
  model.norm_eps = Read<double>(json, "rms_norm_eps", path);
  model.tie_embeddings = json.value("tie_word_embeddings", false);
  if (type == "llama") {
    RequireLlamaFeatures(json, model, path);
    if (model.layers < 0 || model.layers > 100'000) Refuse(path, "has an impossible num_hidden_layers");
    model.layer_placements.assign(static_cast<size_t>(model.layers), "pre");
    model.norm_kind = "rmsnorm";
  } else {
    json.at("layer_placements").get_to(model.layer_placements);
    json.at("norm_kind").get_to(model.norm_kind);
  }
  return model;
}

}  // namespace

ModelConfig ConfigOf(const std::string& spec_json, const std::vector<std::string>& layer_placements,
                     int64_t vocab_size) {
  const nlohmann::json spec = nlohmann::json::parse(spec_json);
  const nlohmann::json& from = spec.at("model");
  ModelConfig model;
  model.vocab_size = vocab_size;
  from.at("hidden_size").get_to(model.hidden_size);
  from.at("intermediate_size").get_to(model.intermediate_size);
  from.at("layers").get_to(model.layers);
  from.at("heads").get_to(model.heads);
  from.at("kv_heads").get_to(model.kv_heads);
  if (model.kv_heads == 0) model.kv_heads = model.heads;
  spec.at("data").at("context").get_to(model.context);
  from.at("rope_theta").get_to(model.rope_theta);
  from.at("norm_eps").get_to(model.norm_eps);
  from.at("tie_embeddings").get_to(model.tie_embeddings);
  model.layer_placements = layer_placements;
  model.norm_kind = spec.at("norm").value("kind", "") == "NORM_KIND_LAYERNORM" ? "layernorm" : "rmsnorm";
  return model;
}

bool IsLlama(const ModelConfig& model) {
  return model.norm_kind == "rmsnorm" &&
         std::all_of(model.layer_placements.begin(), model.layer_placements.end(),
                     [](const std::string& name) { return name == "pre"; });
}

std::string ToConfigJson(const ModelConfig& model, const SpecialTokens& tokens, const std::string& dtype) {
  const bool llama = IsLlama(model);
  Json json = {{"model_type", llama ? "llama" : "mixln"},
               {"architectures", {llama ? "LlamaForCausalLM" : "MixlnForCausalLM"}}};
  if (!llama) {
    json["auto_map"] = {{"AutoConfig", "configuration_mixln.MixlnConfig"},
                        {"AutoModelForCausalLM", "modeling_mixln.MixlnForCausalLM"}};
    json["layer_placements"] = model.layer_placements;
    json["norm_kind"] = model.norm_kind;
  }
  json.update({{"vocab_size", model.vocab_size},
               {"hidden_size", model.hidden_size},
               {"intermediate_size", model.intermediate_size},
               {"num_hidden_layers", model.layers},
               {"num_attention_heads", model.heads},
               {"num_key_value_heads", model.kv_heads},
               {"hidden_act", llama ? "silu" : kNoActivation},
               {"max_position_embeddings", model.context},
               {"rms_norm_eps", model.norm_eps},
               {"rope_theta", model.rope_theta},
               {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", model.rope_theta}}},
               {"attention_bias", false},
               {"mlp_bias", false},
               {"tie_word_embeddings", model.tie_embeddings},
               {"bos_token_id", OrNull(tokens.bos)},
               {"eos_token_id", OrNull(tokens.eos)},
               {"pad_token_id", OrNull(tokens.pad)},
               {"dtype", dtype},
               {"torch_dtype", dtype}});
  if (!llama) json["use_cache"] = false;
  return json.dump(2) + "\n";
}

ModelConfig ParseConfigJson(std::string_view text, const std::string& path) {
  try {
    return Parse(nlohmann::json::parse(text), path);
  } catch (const nlohmann::json::exception& problem) {
    Refuse(path, std::string("is no model's configuration: ") + problem.what());
  }
}

void RequireSameModel(const std::string& folder, const ModelConfig& there, const ModelConfig& here) {
  if (there.layer_placements != here.layer_placements) {
    throw error::ConfigError(folder + ": the model in it is " +
                             checkpoint::DescribePlacements(there.layer_placements) + "; this trial is " +
                             checkpoint::DescribePlacements(here.layer_placements));
  }
  std::string differences;
  const auto compare = [&](const char* name, const auto& left, const auto& right) {
    if (left == right) return;
    differences += (differences.empty() ? "" : ", ") + std::string(name) + " is " +
                   nlohmann::json(left).dump() + " there and " + nlohmann::json(right).dump() + " here";
  };
  compare("vocab_size", there.vocab_size, here.vocab_size);
  compare("hidden_size", there.hidden_size, here.hidden_size);
  compare("intermediate_size", there.intermediate_size, here.intermediate_size);
  compare("norm.kind", there.norm_kind, here.norm_kind);
  compare("layers", there.layers, here.layers);
  compare("heads", there.heads, here.heads);
  compare("kv_heads", there.kv_heads, here.kv_heads);
  compare("rope_theta", there.rope_theta, here.rope_theta);
  compare("norm_eps", there.norm_eps, here.norm_eps);
  compare("tie_embeddings", there.tie_embeddings, here.tie_embeddings);
  if (!differences.empty()) {
    throw error::ConfigError(folder + ": the model in it is not the trial's: " + differences);
  }
}

}  // namespace mixln::worker::trainer::huggingface
