// What a model's preset means for its fields.
#pragma once

#include <string_view>

#include "mixln/v1/spec.pb.h"

namespace mixln::coordinator::sweep {

// Whether 0 in the field at `path` stands for the preset's size, so that a user who writes it is mistaken.
bool IsPresetSize(std::string_view path);

// Gives sizes that are 0 the preset's values; does nothing when the preset is empty or unknown.
void ApplyPreset(v1::ModelSpec& model);

}  // namespace mixln::coordinator::sweep
