#include "base/preset/preset.h"

namespace mixln::base::preset {
namespace {

constexpr Preset kPresets[] = {
    {.name = "llama-9m", .hidden_size = 128, .intermediate_size = 352, .heads = 4, .layers = 4},
    {.name = "llama-71m", .hidden_size = 512, .intermediate_size = 1368, .heads = 8, .layers = 12},
    {.name = "llama-130m", .hidden_size = 768, .intermediate_size = 2048, .heads = 12, .layers = 12},
    {.name = "llama-250m", .hidden_size = 768, .intermediate_size = 2560, .heads = 16, .layers = 24},
    {.name = "llama-350m", .hidden_size = 1024, .intermediate_size = 2736, .heads = 16, .layers = 24},
    {.name = "llama-1b", .hidden_size = 2048, .intermediate_size = 5461, .heads = 32, .layers = 24},
    {.name = "llama-7b", .hidden_size = 4096, .intermediate_size = 11008, .heads = 32, .layers = 32},
};

}  // namespace

const Preset* FindPreset(std::string_view name) {
  for (const Preset& preset : kPresets) {
    if (preset.name == name) return &preset;
  }
  return nullptr;
}

std::vector<std::string> PresetNames() {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) names.emplace_back(preset.name);
  return names;
}

}  // namespace mixln::base::preset
