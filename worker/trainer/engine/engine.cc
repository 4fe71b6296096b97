#include "worker/trainer/engine/engine.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "worker/trainer/diagnostics/phase.h"
#include "worker/trainer/model/model.h"
#include "worker/trainer/norm/group.h"
#include "worker/trainer/optim/adamw.h"
#include "worker/trainer/optim/gradient_norm.h"
#include "worker/trainer/optim/update_ratio.h"

namespace mixln::worker::trainer::engine {
namespace {

void Require(bool holds, const std::string& problem) {
  if (!holds) throw std::invalid_argument(problem);
}

void CheckPlacements(const EngineOptions& options) {
  const auto layers_of = [&](norm::Placement placement) {
    return std::count(options.placements.begin(), options.placements.end(), placement);
  };
  Require(layers_of(norm::Placement::kGroup) == 0 || options.hidden_size % norm::kGroups == 0,
          "placement group needs a hidden_size that " + std::to_string(norm::kGroups) + " divides, not " +
              std::to_string(options.hidden_size));
  const auto connected = layers_of(norm::Placement::kDlcl);
  Require(connected == 0 || connected == options.layers, "placement dlcl is one of the whole model, not of " +
                                                             std::to_string(connected) + " of " +
                                                             std::to_string(options.layers) + " layers");
  Require(!options.scaled_init || layers_of(norm::Placement::kDeepNorm) == 0,
          "scaled_init does not go with placement deepnorm, which has an initialization of its own");
}

model::Shape CheckedShape(const EngineOptions& options) {
  const auto positive = [](int64_t value, const char* name) {
    Require(value > 0, std::string(name) + " must be positive, not " + std::to_string(value));
  };
  positive(options.vocab_size, "vocab_size");
  positive(options.hidden_size, "hidden_size");
  positive(options.intermediate_size, "intermediate_size");
  positive(options.layers, "layers");
  positive(options.heads, "heads");
  positive(options.kv_heads, "kv_heads");
  positive(options.context, "context");
  Require(options.hidden_size % (2 * options.heads) == 0,
          "heads must divide hidden_size into an even head size: " + std::to_string(options.heads) +
              " heads, hidden_size " + std::to_string(options.hidden_size));
  Require(options.heads % options.kv_heads == 0,
          "kv_heads must divide heads: " + std::to_string(options.kv_heads) + " and " +
              std::to_string(options.heads));
  Require(static_cast<int64_t>(options.placements.size()) == options.layers,
          "placements must name each of the " + std::to_string(options.layers) + " layers, not " +
              std::to_string(options.placements.size()));
  CheckPlacements(options);
  return {.vocab_size = options.vocab_size,
          .hidden_size = options.hidden_size,
          .intermediate_size = options.intermediate_size,
          .layers = options.layers,
          .heads = options.heads,
          .kv_heads = options.kv_heads,
          .context = options.context,
          .rope_theta = options.rope_theta,
          .norm_eps = options.norm_eps,
          .norm_kind = options.norm_kind,
          .tie_embeddings = options.tie_embeddings,
          .bf16 = options.bf16};
}

std::string ShapeOf(const at::Tensor& tensor) {
  std::string text = "[";
  for (int64_t i = 0; i < tensor.dim(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(tensor.size(i));
  return text + "]";
}

}  // namespace

struct Engine::Impl {
  Impl(const EngineOptions& engine_options, fsdp::Collectives* collectives,
       const device::Device& engine_device)
      : options(engine_options),
        ranks(collectives),
        device(engine_device),
        model(device, CheckedShape(engine_options), engine_options.placements,
              {engine_options.init_std, engine_options.embedding_std, engine_options.scaled_init,
               engine_options.seed},
              {{collectives, engine_options.accumulate,
                collectives == nullptr ? nullptr : std::make_shared<fsdp::BufferPool>(*collectives)},
               engine_options.reshard_after_forward,
               engine_options.activation_checkpointing}) {}

  void CheckTokens(const at::Tensor& tokens, int64_t longest) const {
    Require(tokens.dim() == 2 && tokens.scalar_type() == at::kLong, "tokens must be int64 [batch, time]");
    Require(tokens.size(0) > 0 && tokens.size(1) > 0 && tokens.size(1) <= longest,
            "tokens are " + ShapeOf(tokens) + "; the context allows at most " + std::to_string(longest) +
                " in a row");
    const at::Tensor whole = tokens.contiguous();
    const int64_t* ids = whole.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < whole.numel(); ++i) {
      Require(ids[i] >= 0 && ids[i] < options.vocab_size, "token " + std::to_string(ids[i]) +
                                                              " is outside of the vocabulary of " +
                                                              std::to_string(options.vocab_size));
    }
  }

  double Loss(const at::Tensor& tokens, const at::Tensor& mask, double gradient_scale,
              diagnostics::ActivationVariance* variance) {
    CheckTokens(tokens, options.context + 1);
    const int64_t time = tokens.size(1) - 1;
    Require(time > 0, "tokens must be at least two in a row: an input and its target");
    const at::Tensor inputs = tokens.narrow(1, 0, time).contiguous();
    const at::Tensor targets = tokens.narrow(1, 1, time).contiguous();
    at::Tensor whole_mask;
    if (mask.defined()) {
      Require(mask.scalar_type() == at::kByte && mask.sizes() == inputs.sizes(),
              "mask must be uint8 " + ShapeOf(inputs) + ", not " + ShapeOf(mask));
      whole_mask = mask.contiguous();
    }
    Refresh();
    return model.Loss(inputs, targets, whole_mask, gradient_scale, variance);
  }

  // Takes over what was written into States(), and what all ranks have written into memory in common.
  void Refresh() {
    if (masters_written) {
      for (fsdp::Unit* unit : model.units()) unit->Refresh();
    }
    if ((masters_written || updated) && ranks != nullptr && ranks->has_common_memory()) ranks->Barrier();
    masters_written = updated = false;
  }

  EngineOptions options;
  fsdp::Collectives* ranks;
  const device::Device& device;
  model::Model model;
  int64_t updates = 0;
  bool masters_written = false;
  bool updated = true;  // parameters have changed since the ranks' last Barrier
};

Engine::Engine(const EngineOptions& options, fsdp::Collectives* ranks, const device::Device& device)
    : impl_(std::make_unique<Impl>(options, ranks, device)) {}
Engine::~Engine() = default;

bool Engine::depends_on_first_batch() const {
  return impl_->model.depends_on_first_batch();
}

void Engine::InitializeFromBatch(const std::vector<at::Tensor>& tokens) {
  std::vector<at::Tensor> inputs;
  for (const at::Tensor& rows : tokens) {
    impl_->CheckTokens(rows, impl_->options.context + 1);
    inputs.push_back(rows.narrow(1, 0, rows.size(1) - 1).contiguous());
  }
  impl_->Refresh();
  impl_->model.InitializeFromBatch(inputs);
}

double Engine::ForwardBackward(const at::Tensor& tokens, const at::Tensor& mask, double global_targets,
                               diagnostics::ActivationVariance* variance) {
  Require(global_targets > 0, "global_targets must be positive");
  return impl_->Loss(tokens, mask, 1.0 / global_targets, variance);
}

double Engine::Evaluate(const at::Tensor& tokens, const at::Tensor& mask) {
  return impl_->Loss(tokens, mask, 0.0, nullptr);
}

UpdateReport Engine::Update(double lr, bool measure_layers) {
  const diagnostics::PhaseSpan span(diagnostics::Phase::kUpdate);
  const EngineOptions& options = impl_->options;
  const std::vector<fsdp::Unit*>& units = impl_->model.units();
  impl_->model.FinishGradients();
  if (impl_->ranks != nullptr) optim::SumVectorGradients(units, *impl_->ranks);
  const std::vector<double> squares = optim::SquaredGradientNorms(impl_->device, units, impl_->ranks);
  UpdateReport report;
  report.gradient_norm = std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
  impl_->Refresh();
  at::Tensor movements;
  if (measure_layers)
    movements = at::zeros({static_cast<int64_t>(units.size()), 2}, impl_->device.options(at::kDouble));
  optim::AdamW(impl_->device, units, {options.beta1, options.beta2, options.adam_eps, options.weight_decay},
               lr, ++impl_->updates, optim::ClipScale(report.gradient_norm, options.clip_norm), movements);
  for (fsdp::Unit* unit : units) unit->Release();  // what was gathered is old
  impl_->updated = true;
  if (measure_layers) {  // the first unit is the embedding's, the last the head's
    for (size_t layer = 1; layer + 1 < squares.size(); ++layer)
      report.layer_gradient_norms.push_back(std::sqrt(squares[layer]));
    const std::vector<double> ratios = optim::UpdateRatios(movements, impl_->ranks);
    report.layer_update_ratios.assign(ratios.begin() + 1, ratios.end() - 1);
  }
  return report;
}

void Engine::StatesWritten() {
  impl_->masters_written = true;
}

std::vector<NamedState> Engine::States() const {
  std::vector<NamedState> states;
  for (const fsdp::Unit* unit : impl_->model.units()) {
    for (const fsdp::Piece& piece : unit->pieces()) {
      states.push_back({piece.segment->name, piece.segment->shape, piece.range.begin, piece.replicated,
                        piece.master, piece.exp_avg, piece.exp_avg_sq});
    }
  }
  return states;
}

std::vector<NamedGradient> Engine::Gradients() {
  impl_->model.FinishGradients();
  std::vector<NamedGradient> gradients;
  for (const fsdp::Unit* unit : impl_->model.units()) {
    for (const fsdp::Piece& piece : unit->pieces())
      gradients.push_back({piece.segment->name, piece.segment->shape, piece.range.begin, piece.gradient});
  }
  return gradients;
}

int64_t Engine::updates() const {
  return impl_->updates;
}
void Engine::set_updates(int64_t updates) {
  impl_->updates = updates;
}

int64_t Engine::parameters() const {
  int64_t count = 0;
  for (const fsdp::Unit* unit : impl_->model.units()) {
    for (const fsdp::Segment& segment : unit->segments()) count += segment.size;
  }
  return count;
}

at::Tensor Engine::Logits(const at::Tensor& tokens) {
  impl_->CheckTokens(tokens, impl_->options.context);
  impl_->Refresh();
  return impl_->model.Logits(tokens.contiguous());
}

}  // namespace mixln::worker::trainer::engine
