// From what a user says to what is trained: no preset and no default is left for a later reader to fill in.
#pragma once

#include <cstdint>
#include <string_view>

#include "mixln/v1/spec.pb.h"

namespace mixln::coordinator::sweep {

// `pre`, `post` or `mix`; `unspecified` for anything else.
std::string_view PlacementName(v1::Placement placement);

// Number of post layers that alpha gives, floor(alpha * layers + 1/2): it reproduces every row of the paper's
// Table 6. alpha in [0, 1]; other values, NaN too, are taken as the nearer bound.
int PostLayers(double alpha, int layers);

// Fills in the preset's sizes, the defaults, kv_heads, the vocabulary of a tokenizer to be trained, and the
// norms: the vector layer_placements, post_layers, placement and alpha (0 for pre, 1 for post, as given for
// mix; from the vector when the user gave that instead). model.vocab_size stays 0 when only the tokenizer's
// file can tell it. Resolving twice changes nothing. Layer placements stay empty when the number of layers is
// not one that Validate accepts.
v1::TrialSpec Resolve(v1::TrialSpec spec);

// Trainable parameters of a resolved model: embedding, head unless tied, per layer q, k, v, o, gate, up, down
// and two norms, and the final norm. Sizes within Validate's bounds.
int64_t ParameterCount(const v1::ModelSpec& model);

}  // namespace mixln::coordinator::sweep
