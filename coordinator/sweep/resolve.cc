#include "coordinator/sweep/resolve.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cmath>

#include "coordinator/sweep/bounds.h"
#include "coordinator/sweep/defaults.h"
#include "coordinator/sweep/field.h"
#include "coordinator/sweep/presets.h"

namespace mixln::coordinator::sweep {
namespace {

// What a vector of layers amounts to. One of pre and post counts as mix also when its post layers are not the
// first ones.
v1::Placement PlacementOf(const google::protobuf::RepeatedField<int>& layers) {
  const auto all = [&](auto holds) { return std::all_of(layers.begin(), layers.end(), holds); };
  if (all([&](int layer) { return layer == layers[0]; })) return static_cast<v1::Placement>(layers[0]);
  const bool mix = all([](int layer) { return layer == v1::PLACEMENT_PRE || layer == v1::PLACEMENT_POST; });
  return mix ? v1::PLACEMENT_MIX : v1::PLACEMENT_CUSTOM;
}

// The vector was given and decides.
void ResolveFromVector(v1::NormSpec& norm) {
  const auto& layers = norm.layer_placements();
  const auto post = static_cast<int>(std::count(layers.begin(), layers.end(), v1::PLACEMENT_POST));
  norm.set_post_layers(post);
  if (norm.placement() != v1::PLACEMENT_UNSPECIFIED) return;
  norm.set_placement(PlacementOf(layers));
  norm.set_alpha(HasAlpha(norm.placement()) ? static_cast<double>(post) / layers.size() : 0);
}

void ResolveNorm(v1::NormSpec& norm, int layers) {
  if (norm.layer_placements_size() > 0) {
    ResolveFromVector(norm);
    return;
  }
  if (norm.placement() == v1::PLACEMENT_CUSTOM) return;
  if (norm.placement() == v1::PLACEMENT_POST) norm.set_alpha(1);
  if (norm.placement() != v1::PLACEMENT_POST && norm.placement() != v1::PLACEMENT_MIX) norm.set_alpha(0);
  if (layers < 1 || layers > kMaxLayers) return;
  norm.set_post_layers(PostLayers(norm.alpha(), layers));
  const v1::Placement rest = HasAlpha(norm.placement()) ? v1::PLACEMENT_PRE : norm.placement();
  norm.mutable_layer_placements()->Reserve(layers);
  for (int layer = 0; layer < layers; ++layer) {
    norm.add_layer_placements(layer < norm.post_layers() ? v1::PLACEMENT_POST : rest);
  }
}

// Vectors of hidden_size that a layer of the placement learns beside the matrices.
int64_t VectorsOf(int placement) {
  switch (placement) {
    case v1::PLACEMENT_SANDWICH:
    case v1::PLACEMENT_ADMIN: return 4;
    case v1::PLACEMENT_DLCL: return 3;
    default: return 2;
  }
}

}  // namespace

std::string PlacementName(v1::Placement placement) {
  const auto* value = v1::Placement_descriptor()->FindValueByNumber(placement);
  return value == nullptr ? "unspecified" : ValueName(*value);
}

bool HasAlpha(v1::Placement placement) {
  return placement == v1::PLACEMENT_PRE || placement == v1::PLACEMENT_POST || placement == v1::PLACEMENT_MIX;
}

int PostLayers(double alpha, int layers) {
  const double share = alpha > 0 ? std::min(alpha, 1.0) : 0;  // written so that NaN is 0
  return static_cast<int>(std::floor(share * layers + 0.5));
}

v1::TrialSpec Resolve(v1::TrialSpec spec) {
  FillDefaults(spec);
  v1::ModelSpec& model = *spec.mutable_model();
  ApplyPreset(model);
  if (model.kv_heads() == 0) model.set_kv_heads(model.heads());
  if (model.vocab_size() == 0) model.set_vocab_size(spec.data().tokenizer().train().vocab());
  ResolveNorm(*spec.mutable_norm(), model.layers());
  return spec;
}

int64_t ParameterCount(const v1::TrialSpec& spec) {
  const v1::ModelSpec& model = spec.model();
  const int64_t hidden = model.hidden_size();
  const int64_t layers = model.layers();
  const int64_t kv_size = model.heads() > 0 ? hidden / model.heads() * model.kv_heads() : 0;
  const int64_t attention = 2 * hidden * hidden + 2 * hidden * kv_size;
  const int64_t mlp = 3 * hidden * model.intermediate_size();
  int64_t vectors = 1;  // the final norm
  for (const int placement : spec.norm().layer_placements()) vectors += VectorsOf(placement);
  // The rows of DLCL's W, 1 + 2 + … + (layers + 1).
  const int64_t sums = spec.norm().placement() == v1::PLACEMENT_DLCL ? (layers + 1) * (layers + 2) / 2 : 0;
  const int64_t vocabulary = (model.tie_embeddings() ? 1 : 2) * hidden * model.vocab_size();
  return vocabulary + layers * (attention + mlp) + vectors * hidden + sums;
}

}  // namespace mixln::coordinator::sweep
