#include "coordinator/sweep/resolve.h"

#include <algorithm>
#include <cmath>

#include "coordinator/sweep/bounds.h"
#include "coordinator/sweep/defaults.h"
#include "coordinator/sweep/presets.h"

namespace mixln::coordinator::sweep {
namespace {

// The vector was given and decides. A vector that neither is all pre nor all post counts as mix, also when
// its post layers are not the first ones.
void ResolveFromVector(v1::NormSpec& norm) {
  const auto& layers = norm.layer_placements();
  const auto post = static_cast<int>(std::count(layers.begin(), layers.end(), v1::PLACEMENT_POST));
  norm.set_post_layers(post);
  if (norm.placement() != v1::PLACEMENT_UNSPECIFIED) return;
  norm.set_placement(post == 0               ? v1::PLACEMENT_PRE
                     : post == layers.size() ? v1::PLACEMENT_POST
                                             : v1::PLACEMENT_MIX);
  norm.set_alpha(static_cast<double>(post) / layers.size());
}

void ResolveNorm(v1::NormSpec& norm, int layers) {
  if (norm.layer_placements_size() > 0) {
    ResolveFromVector(norm);
    return;
  }
  if (norm.placement() == v1::PLACEMENT_PRE) norm.set_alpha(0);
  if (norm.placement() == v1::PLACEMENT_POST) norm.set_alpha(1);
  if (layers < 1 || layers > kMaxLayers) return;
  norm.set_post_layers(PostLayers(norm.alpha(), layers));
  norm.mutable_layer_placements()->Reserve(layers);
  for (int layer = 0; layer < layers; ++layer) {
    norm.add_layer_placements(layer < norm.post_layers() ? v1::PLACEMENT_POST : v1::PLACEMENT_PRE);
  }
}

}  // namespace

std::string_view PlacementName(v1::Placement placement) {
  switch (placement) {
    case v1::PLACEMENT_PRE: return "pre";
    case v1::PLACEMENT_POST: return "post";
    case v1::PLACEMENT_MIX: return "mix";
    default: return "unspecified";
  }
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

int64_t ParameterCount(const v1::ModelSpec& model) {
  const int64_t hidden = model.hidden_size();
  const int64_t kv_size = model.heads() > 0 ? hidden / model.heads() * model.kv_heads() : 0;
  const int64_t attention = 2 * hidden * hidden + 2 * hidden * kv_size;
  const int64_t mlp = 3 * hidden * model.intermediate_size();
  const int64_t norms = 2 * hidden;
  const int64_t vocabulary = (model.tie_embeddings() ? 1 : 2) * hidden * model.vocab_size();
  return vocabulary + model.layers() * (attention + mlp + norms) + hidden;
}

}  // namespace mixln::coordinator::sweep
