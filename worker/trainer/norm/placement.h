#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mixln::worker::trainer::norm {

// Where the norms of one decoder layer sit. `mix` is no placement of a layer: it is post for the first layers
// and pre for the rest, and so is resolved into a vector of these, one for each layer.
enum class Placement { kPre, kPost };

// A norm of a sublayer: whether it is there, and the Hugging Face name of its weight within the layer,
// such as "input_layernorm". An empty name: there is none.
using NormName = std::string;

// One sublayer, x' = C(w·x + B(f(a·A(x)))), where f is attention or the MLP and A, B, C are the identity or
// an RMSNorm.
struct SublayerForm {
  NormName before;            // A
  NormName inner;             // B
  NormName after;             // C
  double input_scale = 1.0;   // a
  double stream_scale = 1.0;  // w
};

// Both sublayers of one decoder layer.
struct LayerForm {
  SublayerForm attention;
  SublayerForm mlp;
};

// The form of layer `layer` (from 0) of `layers`.
LayerForm FormOf(Placement placement, int layer, int layers);

// "pre", "post"; throws std::invalid_argument on any other name.
Placement ParsePlacement(std::string_view name);
std::string_view Name(Placement placement);

}  // namespace mixln::worker::trainer::norm
