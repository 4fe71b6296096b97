// config.json of an exported model: what transformers must know to compute what the engine computes.
//
// A Pre-LN model is written as `model_type: llama`. Every other one is `model_type: mixln` and computed by
// modeling_mixln.py, which lies beside it; it keeps the placement of every layer, and a field that makes
// transformers' Llama classes refuse it, so that it cannot be loaded as Pre-LN by mistake.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mixln::worker::trainer::huggingface {

// A model without its weights.
struct ModelConfig {
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t context = 0;  // longest sequence it was trained on, in tokens
  double rope_theta = 0;
  double norm_eps = 0;
  bool tie_embeddings = false;
  std::vector<std::string> layer_placements;  // "pre", "post", one for each layer
  std::string norm_kind;                      // "rmsnorm", "layernorm"
  bool operator==(const ModelConfig&) const = default;
};

// Ids of a tokenizer's special tokens; nothing where there is none.
struct SpecialTokens {
  std::optional<int64_t> bos;
  std::optional<int64_t> eos;
  std::optional<int64_t> pad;
  std::optional<int64_t> unk;
};

// The model of a trial or checkpoint. `spec_json`: its spec, as both record it; `vocab_size`: rows of its
// embedding.
ModelConfig ConfigOf(const std::string& spec_json, const std::vector<std::string>& layer_placements,
                     int64_t vocab_size);

// Whether LlamaForCausalLM computes it.
bool IsLlama(const ModelConfig& model);

// The text of config.json; `dtype` is that of the weights, "float32" or "bfloat16".
std::string ToConfigJson(const ModelConfig& model, const SpecialTokens& tokens, const std::string& dtype);

// Reads config.json of a Llama or of a model exported from here; `path` begins the errors. Throws
// error::ConfigError when it is of another kind of model, or has a feature that the engine has not.
ModelConfig ParseConfigJson(std::string_view text, const std::string& path);

// Throws error::ConfigError, beginning with `folder`, when the model in it is not the trial's: the words name
// each difference. Contexts may differ.
void RequireSameModel(const std::string& folder, const ModelConfig& there, const ModelConfig& here);

}  // namespace mixln::worker::trainer::huggingface
