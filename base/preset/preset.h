// Named model shapes: those of the Mix-LN paper (arXiv 2412.13795), which follow LLaMA.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mixln::base::preset {

struct Preset {
  std::string_view name;
  int hidden_size, intermediate_size, heads, layers;
};

// nullptr: there is no preset of this name.
const Preset* FindPreset(std::string_view name);

// All names, smallest model first.
std::vector<std::string> PresetNames();

}  // namespace mixln::base::preset
