// Named model shapes: those of the Mix-LN paper (arXiv 2412.13795), which follow LLaMA.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mixln/v1/spec.pb.h"

namespace mixln::coordinator::sweep {

struct Preset {
  std::string_view name;
  int hidden_size, intermediate_size, heads, layers;
};

// nullptr: there is no preset of this name.
const Preset* FindPreset(std::string_view name);

// All names, smallest model first.
std::vector<std::string> PresetNames();

// Whether 0 in the field at `path` stands for the preset's size, so that a user who writes it is mistaken.
bool IsPresetSize(std::string_view path);

// Gives sizes that are 0 the preset's values; does nothing when the preset is empty or unknown.
void ApplyPreset(v1::ModelSpec& model);

}  // namespace mixln::coordinator::sweep
