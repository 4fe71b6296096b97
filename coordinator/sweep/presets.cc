#include "coordinator/sweep/presets.h"

#include "base/preset/preset.h"

namespace mixln::coordinator::sweep {

bool IsPresetSize(std::string_view path) {
  return path == "model.hidden_size" || path == "model.intermediate_size" || path == "model.heads" ||
         path == "model.layers";
}

void ApplyPreset(v1::ModelSpec& model) {
  const base::preset::Preset* preset = base::preset::FindPreset(model.preset());
  if (preset == nullptr) return;
  if (model.hidden_size() == 0) model.set_hidden_size(preset->hidden_size);
  if (model.intermediate_size() == 0) model.set_intermediate_size(preset->intermediate_size);
  if (model.heads() == 0) model.set_heads(preset->heads);
  if (model.layers() == 0) model.set_layers(preset->layers);
}

}  // namespace mixln::coordinator::sweep
