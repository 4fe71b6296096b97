#include "worker/trainer/huggingface/export_model.h"

#include <ATen/Functions.h>
#include <stdio.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file/durable.h"
#include "worker/trainer/checkpoint/checkpoint_reader.h"
#include "worker/trainer/checkpoint/tensor_file.h"
#include "worker/trainer/error/error.h"
#include "worker/trainer/huggingface/model_code.h"
#include "worker/trainer/huggingface/model_config.h"
#include "worker/trainer/huggingface/safetensors.h"
#include "worker/trainer/huggingface/sentencepiece_model.h"

namespace mixln::worker::trainer::huggingface {
namespace {

constexpr char kEmbedding[] = "model.embed_tokens.weight";

bool IsMoment(const std::string& name) {
  return name.starts_with("exp_avg/") || name.starts_with("exp_avg_sq/");
}

// The masters by name, each put together from its ranges in the ranks' files. So whatever ranks wrote them,
// the same weights are the same bytes.
std::vector<NamedTensor> ReadMasters(const std::string& folder, const checkpoint::Manifest& manifest) {
  std::map<std::string, at::Tensor> masters;
  std::map<std::string, int64_t> covered;
  for (const checkpoint::FileEntry& file : manifest.files) {
    for (const checkpoint::TensorEntry& entry : file.tensors) {
      if (IsMoment(entry.name)) continue;
      if (!masters.contains(entry.name)) masters.emplace(entry.name, at::empty(entry.shape, at::kFloat));
      const int64_t size = masters.at(entry.name).numel();
      if (entry.begin < 0 || entry.elements < 0 || entry.begin > size ||
          entry.elements > size - entry.begin) {
        throw error::InputOutputError("checkpoint " + folder + ": is corrupted: a range of " + entry.name +
                                      " lies outside it");
      }
      covered[entry.name] += entry.elements;
    }
  }
  for (const auto& [name, tensor] : masters) {
    if (covered[name] != tensor.numel()) {
      throw error::InputOutputError("checkpoint " + folder + ": has only " + std::to_string(covered[name]) +
                                    " of " + std::to_string(tensor.numel()) + " elements of " + name);
    }
  }
  for (const checkpoint::FileEntry& file : manifest.files) {
    checkpoint::ReadTensorFile(folder, file,
                               [&](const checkpoint::TensorEntry& entry, const float* elements) {
                                 if (IsMoment(entry.name)) return;
                                 std::memcpy(masters.at(entry.name).data_ptr<float>() + entry.begin, elements,
                                             static_cast<size_t>(entry.elements) * sizeof(float));
                               });
  }
  std::vector<NamedTensor> named;
  for (const auto& [name, tensor] : masters) named.push_back({name, tensor});
  return named;
}

void Check(const absl::Status& status) {
  if (!status.ok()) throw error::InputOutputError(std::string(status.message()));
}

// Where the folder grows before it is shown.
class Draft {
 public:
  explicit Draft(const std::string& to) : to_(std::filesystem::absolute(to).lexically_normal()) {
    if (!to_.has_filename()) to_ = to_.parent_path();
    draft_ = to_.string() + ".partial";
    std::error_code none;
    if (std::filesystem::exists(to_, none) && !std::filesystem::is_empty(to_, none)) {
      throw error::InputOutputError(to_.string() +
                                    " is there and not empty: give a folder that is not there");
    }
    std::filesystem::remove_all(draft_, none);
    Check(base::MakeFolders(draft_));
  }
  ~Draft() {
    std::error_code none;
    std::filesystem::remove_all(draft_, none);
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  std::string Path(const std::string& name) const { return (draft_ / name).string(); }
  void Write(const std::string& name, std::string_view text) const {
    Check(base::WriteFileDurably(draft_ / name, text));
  }
  void Show() const {
    Check(base::SyncFolder(draft_));
    if (rename(draft_.c_str(), to_.c_str()) != 0) {
      Check(base::ErrnoStatus(errno, "cannot make " + to_.string()));
    }
    Check(base::SyncFolder(to_.parent_path()));
  }

 private:
  std::filesystem::path to_;
  std::filesystem::path draft_;
};

// The tokenizer's files, from what the attempt keeps beside its checkpoints; nothing where it keeps none.
SpecialTokens WriteTokenizer(const std::string& checkpoint, int64_t context, const Draft& draft) {
  const std::filesystem::path source =
      std::filesystem::absolute(checkpoint).lexically_normal() / "../../tokenizer.model";
  const auto bytes = base::ReadFile(source);
  if (absl::IsNotFound(bytes.status())) return {};
  Check(bytes.status());
  const SentencePieceModel model = ParseSentencePieceModel(*bytes, source.string());
  draft.Write("tokenizer.model", *bytes);
  draft.Write("tokenizer_config.json", ToTokenizerConfigJson(model, context));
  if (const std::string json = ToTokenizerJson(model); !json.empty()) draft.Write("tokenizer.json", json);
  return model.tokens;
}

std::string GenerationConfig(const SpecialTokens& tokens, bool llama) {
  nlohmann::ordered_json json = {{"do_sample", true}};
  if (tokens.bos) json["bos_token_id"] = *tokens.bos;
  if (tokens.eos) json["eos_token_id"] = *tokens.eos;
  if (tokens.pad) json["pad_token_id"] = *tokens.pad;
  if (!llama) json["use_cache"] = false;
  return json.dump(2) + "\n";
}

}  // namespace

std::string ExportModel(const ExportOptions& options) {
  const checkpoint::Manifest manifest = checkpoint::ReadManifest(options.checkpoint);
  const Draft draft(options.to);
  std::vector<NamedTensor> weights = ReadMasters(options.checkpoint, manifest);
  int64_t vocab_size = 0;
  for (const auto& [name, tensor] : weights) {
    if (name == kEmbedding) vocab_size = tensor.size(0);
  }
  if (options.bf16) {
    for (NamedTensor& weight : weights) weight.tensor = weight.tensor.to(at::kBFloat16);
  }
  const ModelConfig model = ConfigOf(manifest.spec_json, manifest.layer_placements, vocab_size);
  const SpecialTokens tokens = WriteTokenizer(options.checkpoint, model.context, draft);
  const bool llama = IsLlama(model);
  draft.Write("config.json", ToConfigJson(model, tokens, options.bf16 ? "bfloat16" : "float32"));
  draft.Write("generation_config.json", GenerationConfig(tokens, llama));
  if (!llama) {
    draft.Write("configuration_mixln.py", kConfigurationCode);
    draft.Write("modeling_mixln.py", kModelingCode);
  }
  WriteSafetensors(draft.Path("model.safetensors"), weights);
  draft.Show();
  return "exported step " + std::to_string(manifest.step) + " of trial " + manifest.trial_id + ", " +
         checkpoint::DescribePlacements(model.layer_placements) + ", to " + options.to + ": load it with " +
         (llama ? "LlamaForCausalLM" : "AutoModelForCausalLM and trust_remote_code=True") +
         (tokens.unk ? "" : "; there is no tokenizer beside the checkpoint");
}

}  // namespace mixln::worker::trainer::huggingface
