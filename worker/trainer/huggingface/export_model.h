// Turns a checkpoint into a folder that transformers loads.
#pragma once

#include <string>

namespace mixln::worker::trainer::huggingface {

struct ExportOptions {
  std::string checkpoint;  // its folder
  std::string to;          // a folder that is empty or not there
  bool bf16 = false;       // weights in bfloat16, rounded to nearest; else the fp32 masters themselves
};

// Writes config.json, generation_config.json, model.safetensors; for other models than Llamas the code that
// computes them; and, where the attempt has one, the tokenizer. The folder appears whole. Returns a sentence
// for people. Throws error::InputOutputError when the checkpoint cannot be read, or `to` cannot be written or
// holds anything.
std::string ExportModel(const ExportOptions& options);

}  // namespace mixln::worker::trainer::huggingface
