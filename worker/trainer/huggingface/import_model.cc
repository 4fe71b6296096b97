#include "worker/trainer/huggingface/import_model.h"

#include <ATen/Functions.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "base/file/durable.h"
#include "worker/trainer/error/error.h"
#include "worker/trainer/huggingface/safetensors.h"

namespace mixln::worker::trainer::huggingface {
namespace {

std::string Shape(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

// Of the weights' files, as the index names them; without one the only file.
std::set<std::string> WeightFiles(const std::string& folder) {
  const std::string path = folder + "/model.safetensors.index.json";
  const auto text = base::ReadFile(path);
  if (absl::IsNotFound(text.status())) return {folder + "/model.safetensors"};
  if (!text.ok()) throw error::InputOutputError(std::string(text.status().message()));
  std::set<std::string> files;
  try {
    const nlohmann::json index = nlohmann::json::parse(*text);
    for (const auto& [name, file] : index.at("weight_map").items()) {
      files.insert(folder + "/" + file.get<std::string>());
    }
  } catch (const nlohmann::json::exception& problem) {
    throw error::DataError(path + ": is no index of weights: " + problem.what());
  }
  return files;
}

}  // namespace

void ImportModel(const std::string& folder, const ModelConfig& trial,
                 std::vector<engine::NamedState> states) {
  const std::string path = folder + "/config.json";
  const auto text = base::ReadFile(path);
  std::error_code unknown;
  if (absl::IsNotFound(text.status()) || std::filesystem::is_regular_file(folder, unknown)) {
    throw error::ConfigError("init.from: " + folder +
                             " is no folder of a model: " + std::string(text.status().message()));
  }
  if (!text.ok()) throw error::InputOutputError("init.from: " + std::string(text.status().message()));
  RequireSameModel(folder, ParseConfigJson(*text, path), trial);
  std::map<std::string, engine::NamedState> missing;
  for (const auto& state : states) missing.emplace(state.name, state);
  for (const std::string& file : WeightFiles(folder)) {
    const SafetensorsFile weights(file);
    for (const StoredTensor& stored : weights.tensors()) {
      const auto found = missing.find(stored.name);
      if (found == missing.end()) {
        throw error::ConfigError(file + ": has a tensor " + stored.name +
                                 " that this trial's model has not, or has it twice");
      }
      const engine::NamedState& state = found->second;
      if (state.shape != stored.shape) {
        throw error::ConfigError(file + ": " + stored.name + " has shape " + Shape(stored.shape) +
                                 " there and " + Shape(state.shape) + " here");
      }
      const at::Tensor values = ToFloat(stored);
      if (!at::isfinite(values).all().item<bool>()) {
        throw error::DataError(file + ": " + stored.name + " has elements that are no finite numbers");
      }
      state.master.copy_(values.view(-1).narrow(0, state.begin, state.master.numel()));
      missing.erase(found);
    }
  }
  if (!missing.empty()) {
    throw error::ConfigError(
        folder + ": lacks the tensor " + missing.begin()->first +
        (missing.size() == 1 ? "" : " and " + std::to_string(missing.size() - 1) + " more") +
        " of this trial's model");
  }
}

}  // namespace mixln::worker::trainer::huggingface
