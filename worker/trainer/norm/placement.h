#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mixln::worker::trainer::norm {

// Where the norms of one decoder layer sit. `mix` is no placement of a layer: it is post for the first layers
// and pre for the rest, and so is resolved into a vector of these, one for each layer. kDlcl is all layers'
// or none's.
enum class Placement { kPre, kPost, kSandwich, kDeepNorm, kAdmin, kLns, kGroup, kDlcl };

// The name, within the layer, of a vector that a form has: Hugging Face's of a norm's weight, such as
// "input_layernorm". An empty name: there is none.
using VectorName = std::string;

// One sublayer, x' = C(w·x + B(f(a·A(x)))), where f is attention or the MLP; A, B, C are the identity or a
// norm; w is a number or a learned vector over the channels, and a is a number.
struct SublayerForm {
  VectorName before = {};     // A
  VectorName inner = {};      // B
  VectorName after = {};      // C
  double input_scale = 1.0;   // a
  double stream_scale = 1.0;  // w, where it is a number
  VectorName omega = {};      // w, where it is a vector; it starts as 1
  int before_groups = 1;      // A norms each of so many groups of neighbouring channels alone
};

// Both sublayers of one decoder layer, and what else its placement decides.
struct LayerForm {
  SublayerForm attention;
  SublayerForm mlp;
  // The layer's matrices start Xavier-normal, those of v, o, gate, up and down with this gain, of q and k
  // with 1; without it N(0, std²).
  std::optional<double> xavier_gain = {};
  // The layer's input is a learned sum over the outputs of all layers before it, the embedding first
  // (dlcl.h); else the output of the layer before.
  bool sums_outputs = false;
};

// The form of layer `layer` (from 0) of `layers`.
LayerForm FormOf(Placement placement, int layer, int layers);

// "pre", "post", "sandwich", "deepnorm", "admin", "lns", "group", "dlcl"; throws std::invalid_argument on any
// other name.
Placement ParsePlacement(std::string_view name);
std::string_view Name(Placement placement);

}  // namespace mixln::worker::trainer::norm
