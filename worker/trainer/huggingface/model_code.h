// The Python files that lie beside this one, as text: they go into every exported folder whose model
// transformers does not know. CMake makes model_code.cc of them.
#pragma once

#include <string_view>

namespace mixln::worker::trainer::huggingface {

extern const std::string_view kConfigurationCode;  // configuration_mixln.py
extern const std::string_view kModelingCode;       // modeling_mixln.py

}  // namespace mixln::worker::trainer::huggingface
