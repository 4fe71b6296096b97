#pragma once

#include <cstdint>
#include <string_view>

#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::model {

// How weights start.
struct Initialization {
  double standard_deviation = 0;  // of matrices, where a layer's placement has no start of its own
  double embedding_standard_deviation = 0;
  bool scaled = false;  // o and down start with standard_deviation/√(2L)
  uint64_t seed = 0;
};

// The standard deviation with which a decoder layer's matrix [rows, columns] starts: as the layer's form
// says, else standard_deviation, over √(2·layers) for those that write into the stream where `scaled`
// (Radford et al. 2019, GPT-2, section 2.3). `name`: within the layer, such as "self_attn.q_proj".
double MatrixDeviation(const Initialization& initialization, const norm::LayerForm& form, int64_t layers,
                       std::string_view name, int64_t rows, int64_t columns);

}  // namespace mixln::worker::trainer::model
