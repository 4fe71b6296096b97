#include "worker/trainer/checkpoint/manifest.h"

#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "worker/trainer/checkpoint/damaged_error.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::checkpoint {

using Json = nlohmann::ordered_json;

std::string Hash(std::string_view bytes) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(bytes.data(), bytes.size())));
  return text;
}

namespace {

Json Encode(const FileEntry& file) {
  Json tensors = Json::array();
  for (const TensorEntry& tensor : file.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"shape", tensor.shape},
                       {"begin", tensor.begin},
                       {"elements", tensor.elements},
                       {"offset_bytes", tensor.offset_bytes},
                       {"xxh3_64", tensor.xxh3_64}});
  }
  return {{"file", file.file},
          {"size_bytes", file.size_bytes},
          {"xxh3_64", file.xxh3_64},
          {"tensors", std::move(tensors)}};
}

// The last field, whose value is the checksum of all that stands before its name.
constexpr std::string_view kChecksum = "\"xxh3_64\"";

// That field and the end, behind such a text.
std::string Closing(std::string_view before) {
  return std::string(kChecksum) + ": \"" + Hash(before) + "\"\n}\n";
}

bool IsWhole(std::string_view text) {
  const size_t closing = text.rfind(kChecksum);
  return closing != text.npos && text.substr(closing) == Closing(text.substr(0, closing));
}

// Of a version that had no such field.
bool IsOlder(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  return json.is_object() && !json.contains("xxh3_64") &&
         json.value("format_version", kFormatVersion) < kFormatVersion;
}

FileEntry DecodeFile(const nlohmann::json& json) {
  FileEntry file;
  json.at("file").get_to(file.file);
  json.at("size_bytes").get_to(file.size_bytes);
  json.at("xxh3_64").get_to(file.xxh3_64);
  for (const auto& tensor : json.at("tensors")) {
    TensorEntry& range = file.tensors.emplace_back();
    tensor.at("name").get_to(range.name);
    tensor.at("shape").get_to(range.shape);
    tensor.at("begin").get_to(range.begin);
    tensor.at("elements").get_to(range.elements);
    tensor.at("offset_bytes").get_to(range.offset_bytes);
    tensor.at("xxh3_64").get_to(range.xxh3_64);
  }
  return file;
}

}  // namespace

std::string ToJson(const FileEntry& file) {
  return Encode(file).dump();
}

FileEntry ParseFileEntry(std::string_view text) {
  return DecodeFile(nlohmann::json::parse(text));
}

std::string ToJson(const Manifest& manifest) {
  Json files = Json::array();
  for (const FileEntry& file : manifest.files) files.push_back(Encode(file));
  const Json json = {{"format_version", kFormatVersion},
                     {"trial_id", manifest.trial_id},
                     {"fence", {{"term", manifest.term}, {"epoch", manifest.epoch}}},
                     {"step", manifest.step},
                     {"tokens", manifest.tokens},
                     {"data",
                      {{"epoch", manifest.data_epoch},
                       {"offset", manifest.data_offset},
                       {"windows", manifest.data_windows}}},
                     {"loss_history",
                      {{"block_steps", manifest.loss_history.block_steps},
                       {"block_sum", manifest.loss_history.block_sum},
                       {"recent", manifest.loss_history.recent},
                       {"lowest", manifest.loss_history.lowest},
                       {"lowest_step", manifest.loss_history.lowest_step}}},
                     {"layer_placements", manifest.layer_placements},
                     {"spec_hash", Hash(manifest.spec_json)},
                     {"spec", Json::parse(manifest.spec_json)},
                     {"precision", manifest.precision},
                     {"device", manifest.device},
                     {"instruction_set", manifest.instruction_set},
                     {"threads", manifest.threads},
                     {"world_size", manifest.world_size},
                     {"files", std::move(files)}};
  std::string text = json.dump(1);
  text.replace(text.size() - 2, 2, ",\n ");  // for the brace that ends it
  return text + Closing(text);
}

Manifest ParseManifest(std::string_view text, const std::string& path) {
  try {
    if (!IsWhole(text) && !IsOlder(text)) {
      throw DamagedError(path + ": is corrupted: its checksum does not match");
    }
    // Sorted keys, as spec_json has them.
    const auto json = nlohmann::json::parse(text);
    if (const int version = json.at("format_version").get<int>(); version != kFormatVersion) {
      throw error::InputOutputError(path + ": has format version " + std::to_string(version) +
                                    ", but this release reads " + std::to_string(kFormatVersion));
    }
    Manifest manifest;
    json.at("trial_id").get_to(manifest.trial_id);
    json.at("fence").at("term").get_to(manifest.term);
    json.at("fence").at("epoch").get_to(manifest.epoch);
    json.at("step").get_to(manifest.step);
    json.at("tokens").get_to(manifest.tokens);
    json.at("data").at("epoch").get_to(manifest.data_epoch);
    json.at("data").at("offset").get_to(manifest.data_offset);
    json.at("data").at("windows").get_to(manifest.data_windows);
    const auto& history = json.at("loss_history");
    history.at("block_steps").get_to(manifest.loss_history.block_steps);
    history.at("block_sum").get_to(manifest.loss_history.block_sum);
    history.at("recent").get_to(manifest.loss_history.recent);
    history.at("lowest").get_to(manifest.loss_history.lowest);
    history.at("lowest_step").get_to(manifest.loss_history.lowest_step);
    json.at("layer_placements").get_to(manifest.layer_placements);
    manifest.spec_json = json.at("spec").dump();
    json.at("precision").get_to(manifest.precision);
    json.at("device").get_to(manifest.device);
    json.at("instruction_set").get_to(manifest.instruction_set);
    json.at("threads").get_to(manifest.threads);
    json.at("world_size").get_to(manifest.world_size);
    for (const auto& file : json.at("files")) manifest.files.push_back(DecodeFile(file));
    return manifest;
  } catch (const nlohmann::json::exception& problem) {
    throw DamagedError(path + ": is corrupted: " + problem.what());
  }
}

std::string DescribePlacements(const std::vector<std::string>& layer_placements) {
  const auto post = std::count(layer_placements.begin(), layer_placements.end(), "post");
  const auto layers = static_cast<std::ptrdiff_t>(layer_placements.size());
  if (std::all_of(layer_placements.begin(), layer_placements.end(),
                  [&](const std::string& name) { return name == layer_placements.front(); })) {
    return layer_placements.empty() ? "a model without layers" : layer_placements.front();
  }
  std::vector<std::string> mix(layer_placements.size(), "pre");
  std::fill_n(mix.begin(), post, "post");
  if (layer_placements == mix) {
    return "mix with " + std::to_string(post) + " post layers of " + std::to_string(layers);
  }
  std::string all;
  for (const std::string& name : layer_placements) all += (all.empty() ? "" : ", ") + name;
  return "a model of layers " + all;
}

}  // namespace mixln::worker::trainer::checkpoint
