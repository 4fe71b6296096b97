// Starts a trial from the weights of a Hugging Face folder: init.from.
#pragma once

#include <string>
#include <vector>

#include "worker/trainer/engine/engine.h"
#include "worker/trainer/huggingface/model_config.h"

namespace mixln::worker::trainer::huggingface {

// Copies what this rank owns of the weights in `folder` (config.json with model.safetensors, or with several
// files and model.safetensors.index.json) into the masters. `trial` is the model that the trial trains.
// Throws error::ConfigError when the folder's model is another one, placements included, or when a tensor is
// missing, too many or of another shape; error::DataError when a file is missing or makes no sense, or a
// tensor has elements that are no finite numbers; error::InputOutputError when a file cannot be read. The
// words name the tensor. After an exception the masters may be half copied.
void ImportModel(const std::string& folder, const ModelConfig& trial, std::vector<engine::NamedState> states);

}  // namespace mixln::worker::trainer::huggingface
