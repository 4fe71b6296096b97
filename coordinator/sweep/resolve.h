// From what a user says to what is trained: no preset and no default is left for a later reader to fill in.
#pragma once

#include <cstdint>
#include <string_view>

#include "mixln/v1/spec.pb.h"

namespace mixln::coordinator::sweep {

// How a sweep file spells a placement, such as `mix`; `unspecified` for a number that is none.
std::string PlacementName(v1::Placement placement);

// Whether a share of post layers, alpha, describes the placement: pre, post and mix.
bool HasAlpha(v1::Placement placement);

// Number of post layers that alpha gives, floor(alpha * layers + 1/2): it reproduces every row of the paper's
// Table 6. alpha in [0, 1]; other values, NaN too, are taken as the nearer bound.
int PostLayers(double alpha, int layers);

// Fills in the preset's sizes, the defaults, kv_heads, the vocabulary of a tokenizer to be trained, and the
// norms: the vector layer_placements, post_layers, placement and alpha (as given for mix, 1 for post, 0 for
// all others; from the vector when the user gave that instead, which is a mix if it is of pre and post only,
// and custom if it is of others and not of one alone). model.vocab_size stays 0 when only the tokenizer's
// file can tell it. Resolving twice changes nothing. Layer placements stay empty when the number of layers is
// not one that Validate accepts.
v1::TrialSpec Resolve(v1::TrialSpec spec);

// Trainable parameters of a resolved trial's model: embedding, head unless tied, per layer q, k, v, o, gate,
// up, down, its norms and what else its placement learns, and the final norm. Sizes within Validate's bounds.
int64_t ParameterCount(const v1::TrialSpec& spec);

}  // namespace mixln::coordinator::sweep
