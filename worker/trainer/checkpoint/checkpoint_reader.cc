#include "worker/trainer/checkpoint/checkpoint_reader.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/file/durable.h"
#include "worker/trainer/checkpoint/damaged_error.h"
#include "worker/trainer/checkpoint/tensor_file.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::checkpoint {
namespace {

// Parts of the spec that make another model, data order or optimization when they change. Placements are
// compared by the layers' vector.
constexpr const char* kDefining[] = {"/model/",       "/norm/kind",    "/init/",
                                     "/data/reading", "/data/context", "/train/"};
// Parts of those that do not.
constexpr const char* kHarmless[] = {"/model/preset", "/train/precision", "/train/batch/micro_sequences",
                                     "/train/deterministic"};

bool Defines(const std::string& pointer) {
  const auto starts = [&](const char* prefix) { return pointer.starts_with(prefix); };
  return std::any_of(std::begin(kDefining), std::end(kDefining), starts) &&
         std::none_of(std::begin(kHarmless), std::end(kHarmless), starts);
}

// "/train/lr" as people write it.
std::string Dotted(std::string pointer) {
  pointer.erase(0, 1);
  std::replace(pointer.begin(), pointer.end(), '/', '.');
  return pointer;
}

std::string Shape(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

// "train.lr is 0.001 there and 0.002 here, ..."; empty when nothing that matters differs.
std::string SpecDifferences(const Manifest& checkpoint, const Manifest& trial) {
  const auto there = nlohmann::json::parse(checkpoint.spec_json).flatten();
  const auto here = nlohmann::json::parse(trial.spec_json).flatten();
  const auto shown = [](const nlohmann::json& flat, const std::string& key) {
    return flat.contains(key) ? flat[key].dump() : std::string("absent");
  };
  std::map<std::string, int> keys;
  for (const auto* flat : {&there, &here}) {
    for (const auto& item : flat->items()) keys[item.key()];
  }
  std::string differences;
  for (const auto& [key, unused] : keys) {
    if (!Defines(key) || shown(there, key) == shown(here, key)) continue;
    differences += (differences.empty() ? "" : ", ") + Dotted(key) + " is " + shown(there, key) +
                   " there and " + shown(here, key) + " here";
  }
  return differences;
}

// Where a checkpoint's range of a tensor and the one that this rank wants meet: offsets in both.
struct Meeting {
  int64_t source = 0;
  int64_t target = 0;
  int64_t elements = 0;
};

Meeting Meet(const TensorEntry& entry, const NamedTensor& wanted) {
  const int64_t begin = std::max(entry.begin, wanted.begin);
  const int64_t end = std::min(entry.begin + entry.elements, wanted.begin + wanted.elements.numel());
  return {begin - entry.begin, begin - wanted.begin, std::max<int64_t>(end - begin, 0)};
}

int64_t Elements(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

// Throws unless `entry` is a range of a tensor of this shape.
void CheckRange(const std::string& checkpoint, const TensorEntry& entry, const std::vector<int64_t>& shape) {
  if (shape != entry.shape) {
    throw error::ConfigError(checkpoint + ": " + entry.name + " has shape " + Shape(entry.shape) +
                             " there and " + Shape(shape) + " here");
  }
  const int64_t size = Elements(shape);
  if (entry.begin < 0 || entry.elements < 0 || entry.begin > size || entry.elements > size - entry.begin) {
    throw DamagedError(checkpoint + ": is corrupted: a range of " + entry.name + " lies outside it");
  }
}

}  // namespace

std::vector<std::string> ListCheckpoints(const std::string& attempt_dir) {
  const std::filesystem::path all = attempt_dir + "/checkpoints";
  std::vector<std::string> folders;
  try {
    if (!std::filesystem::exists(all)) return {};
    for (const auto& entry : std::filesystem::directory_iterator(all)) {
      if (entry.path().filename().string().starts_with("step-") &&
          std::filesystem::exists(entry.path() / "manifest.json")) {
        folders.push_back(entry.path().string());
      }
    }
  } catch (const std::filesystem::filesystem_error& problem) {
    throw error::InputOutputError("cannot look for checkpoints in " + all.string() + ": " +
                                  problem.code().message());
  }
  std::sort(folders.rbegin(), folders.rend());  // nine digits: by step
  return folders;
}

Manifest ReadManifest(const std::string& folder) {
  const std::string path = folder + "/manifest.json";
  const auto text = base::ReadFile(path);
  if (!text.ok()) {
    const std::string problem =
        "checkpoint " + folder + " cannot be read: " + std::string(text.status().message());
    if (absl::IsNotFound(text.status())) throw DamagedError(problem);
    throw error::InputOutputError(problem);
  }
  return ParseManifest(*text, path);
}

std::vector<std::string> Compare(const std::string& folder, const Manifest& checkpoint,
                                 const Manifest& trial) {
  const std::string name = "checkpoint " + folder;
  if (checkpoint.layer_placements != trial.layer_placements) {
    throw error::ConfigError(name + ": this checkpoint was trained as " +
                             DescribePlacements(checkpoint.layer_placements) + "; this trial is " +
                             DescribePlacements(trial.layer_placements));
  }
  if (const std::string differences = SpecDifferences(checkpoint, trial); !differences.empty()) {
    throw error::ConfigError(name + ": this checkpoint was trained with another spec: " + differences);
  }
  if (checkpoint.data_windows != trial.data_windows) {
    throw error::ConfigError(
        name + ": this checkpoint was trained on other data: " + std::to_string(checkpoint.data_windows) +
        " training windows there and " + std::to_string(trial.data_windows) + " here");
  }
  if (checkpoint.data_epoch != trial.data_epoch || checkpoint.data_offset != trial.data_offset) {
    throw DamagedError(name + ": is corrupted: its data position does not follow from its step");
  }
  std::vector<std::string> said;
  const auto note = [&](const std::string& what, const std::string& there, const std::string& here) {
    if (there != here) {
      said.push_back(name + " was written with " + what + " " + there + ", and this rank has " + here +
                     ": it goes on, but not bit for bit");
    }
  };
  note("threads", std::to_string(checkpoint.threads), std::to_string(trial.threads));
  note("instruction set", checkpoint.instruction_set, trial.instruction_set);
  note("device", checkpoint.device, trial.device);
  note("precision", checkpoint.precision, trial.precision);
  note("world size", std::to_string(checkpoint.world_size), std::to_string(trial.world_size));
  const auto micro = [](const Manifest& manifest) {
    return nlohmann::json::parse(manifest.spec_json).at("/train/batch/micro_sequences"_json_pointer).dump();
  };
  note("micro-batches of", micro(checkpoint), micro(trial));
  return said;
}

void Load(const std::string& folder, const Manifest& checkpoint,
          const std::vector<engine::NamedState>& states) {
  const std::string name = "checkpoint " + folder;
  std::map<std::string, NamedTensor> wanted;
  for (NamedTensor& tensor : Flatten(states)) wanted.emplace(tensor.name, std::move(tensor));
  std::map<std::string, int64_t> covered;  // elements of each tensor that the checkpoint has
  std::map<std::string, int64_t> met;      // and of what this rank wants
  for (const FileEntry& file : checkpoint.files) {
    for (const TensorEntry& entry : file.tensors) {
      const auto found = wanted.find(entry.name);
      if (found == wanted.end()) {
        throw error::ConfigError(name + ": has a tensor " + entry.name + " that this trial's model has not");
      }
      CheckRange(name, entry, found->second.shape);
      covered[entry.name] += entry.elements;
      met[entry.name] += Meet(entry, found->second).elements;
    }
  }
  for (const auto& [tensor_name, tensor] : wanted) {
    if (const int64_t size = Elements(tensor.shape); covered[tensor_name] != size) {
      throw error::ConfigError(name + ": has " + std::to_string(covered[tensor_name]) + " of " +
                               std::to_string(size) + " elements of " + tensor_name);
    }
    if (met[tensor_name] != tensor.elements.numel()) {
      throw DamagedError(name + ": is corrupted: ranges of " + tensor_name + " overlap");
    }
  }
  // One file is verified before it is copied; several need a pass of their own.
  if (checkpoint.files.size() > 1) {
    for (const FileEntry& file : checkpoint.files)
      ReadTensorFile(folder, file, [](const TensorEntry&, const float*) {});
  }
  for (const FileEntry& file : checkpoint.files) {
    ReadTensorFile(folder, file, [&](const TensorEntry& entry, const float* elements) {
      const NamedTensor& target = wanted.at(entry.name);
      const Meeting meeting = Meet(entry, target);
      if (meeting.elements == 0) return;
      target.elements.narrow(0, meeting.target, meeting.elements)
          .copy_(at::from_blob(const_cast<float*>(elements) + meeting.source, {meeting.elements},
                               at::dtype(at::kFloat)));  // only read
    });
  }
}

}  // namespace mixln::worker::trainer::checkpoint
