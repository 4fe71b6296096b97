#include "worker/trainer/model/model.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "worker/trainer/model/admin_start.h"
#include "worker/trainer/model/embedding.h"

namespace mixln::worker::trainer::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr char kTable[] = "model.embed_tokens.weight";
constexpr char kFinalNorm[] = "model.norm.weight";
constexpr char kHead[] = "lm_head.weight";
constexpr char kLastSum[] = "model.output_sum.weight";

// A decoder layer as autograd sees it.
struct LayerFunction : public torch::autograd::Function<LayerFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, Layer* layer, int64_t time) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->saved_data["layer"] = reinterpret_cast<int64_t>(layer);
    return layer->Forward(x, time);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    auto* layer = reinterpret_cast<Layer*>(context->saved_data["layer"].toInt());
    return {layer->Backward(gradients[0]), at::Tensor(), at::Tensor()};
  }
};

// A learned sum over outputs as autograd sees it.
struct SumFunction : public torch::autograd::Function<SumFunction> {
  static at::Tensor forward(AutogradContext* context, at::TensorList outputs, norm::OutputSum* sum) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->saved_data["sum"] = reinterpret_cast<int64_t>(sum);
    return sum->Forward(outputs.vec());
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    auto* sum = reinterpret_cast<norm::OutputSum*>(context->saved_data["sum"].toInt());
    variable_list doutputs = sum->Backward(gradients[0]);
    doutputs.emplace_back();
    return doutputs;
  }
};

// What the head is given beside the stream, and its answer.
struct HeadCall {
  Head* head;
  at::Tensor targets;
  at::Tensor mask;
  double gradient_scale;
  Head::Loss loss;
};

// The head as autograd sees it. Its forward pass has already computed the gradient of the loss, so backward
// takes the incoming gradient to be 1.
struct HeadFunction : public torch::autograd::Function<HeadFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, HeadCall* call) {
    const at::AutoDispatchBelowADInplaceOrView below;
    call->loss = call->head->Run(x, call->targets, call->mask, call->gradient_scale);
    context->saved_data["call"] = reinterpret_cast<int64_t>(call);
    return at::full({}, call->loss.sum, at::kDouble);
  }
  static variable_list backward(AutogradContext* context, const variable_list&) {
    auto* call = reinterpret_cast<HeadCall*>(context->saved_data["call"].toInt());
    return {std::move(call->loss.dx), at::Tensor()};
  }
};

}  // namespace

Model::Model(const Shape& shape, const std::vector<norm::Placement>& placements,
             const Initialization& initialization)
    : shape_(shape),
      initialization_(initialization),
      rope_(std::make_shared<const kernels::RopeTable>(shape.context, shape.head_size(), shape.rope_theta)) {
  const auto add_unit = [&](const std::vector<fsdp::ParameterSpec>& parameters) -> fsdp::Unit& {
    units_.push_back(std::make_unique<fsdp::Unit>(parameters, shape.bf16));
    fsdp::Initialize(*units_.back(), parameters, initialization.seed);
    return *units_.back();
  };
  fsdp::Unit& embedding = add_unit(
      {{kTable, {shape.vocab_size, shape.hidden_size}, initialization.embedding_standard_deviation}});
  table_ = embedding.Master(embedding.Find(kTable));
  table_gradient_ = embedding.Gradient(embedding.Find(kTable));

  const auto add_sum = [&](const fsdp::Unit& unit, const std::string& name) {
    const fsdp::Segment& segment = unit.Find(name);
    sums_.emplace_back(unit.Master(segment), unit.Gradient(segment));
  };
  for (int64_t index = 0; index < shape.layers; ++index) {
    const norm::LayerForm form = norm::FormOf(placements.at(static_cast<size_t>(index)),
                                              static_cast<int>(index), static_cast<int>(shape.layers));
    fsdp::Unit& unit = add_unit(LayerParameters(shape, form, index, initialization));
    layers_.push_back(std::make_unique<Layer>(shape, form, index, unit, rope_));
    if (form.sums_outputs) add_sum(unit, VectorPath(index, kOutputSum));
    forms_.push_back(form);
  }

  std::vector<fsdp::ParameterSpec> last = {{kFinalNorm, {shape.hidden_size}}};
  if (!shape.tie_embeddings) {
    last.push_back({kHead, {shape.vocab_size, shape.hidden_size}, initialization.standard_deviation});
  }
  if (!sums_.empty()) last.push_back(OutputSumParameter(kLastSum, shape.layers + 1));
  fsdp::Unit& unit = add_unit(last);
  if (!sums_.empty()) add_sum(unit, kLastSum);
  const fsdp::Segment& final_norm = unit.Find(kFinalNorm);
  const fsdp::Unit& owner = shape.tie_embeddings ? embedding : unit;
  const std::string matrix = shape.tie_embeddings ? kTable : kHead;
  head_ = std::make_unique<Head>(
      norm::Norm{unit.Master(final_norm), unit.Gradient(final_norm), shape.norm_kind, shape.norm_eps},
      owner.Matrix(matrix), owner.MatrixGradient(matrix));
}

std::vector<fsdp::Unit*> Model::units() {
  std::vector<fsdp::Unit*> units;
  for (const auto& unit : units_) units.push_back(unit.get());
  return units;
}

bool Model::depends_on_first_batch() const {
  return std::any_of(forms_.begin(), forms_.end(), [](const norm::LayerForm& form) {
    return !form.attention.omega.empty() || !form.mlp.omega.empty();
  });
}

void Model::InitializeFromBatch(const std::vector<at::Tensor>& inputs) {
  if (!depends_on_first_batch()) return;
  const at::AutoDispatchBelowADInplaceOrView below;
  std::vector<Stream> streams;
  for (const at::Tensor& input : inputs) streams.push_back({Embed(table_, input.view(-1)), input.size(1)});
  std::vector<fsdp::Unit*> layer_units = units();
  layer_units.erase(layer_units.begin());
  StartAdmin(shape_, forms_, initialization_, rope_, std::move(streams), layer_units);
}

at::Tensor Model::InputOf(size_t index, const at::Tensor& previous, std::vector<at::Tensor>& outputs) {
  if (sums_.empty()) return previous;
  outputs.push_back(previous);
  norm::OutputSum& sum = sums_.at(index);
  return previous.requires_grad() ? SumFunction::apply(at::TensorList(outputs), &sum) : sum.Forward(outputs);
}

at::Tensor Model::Decode(const at::Tensor& inputs) {
  const at::AutoDispatchBelowADInplaceOrView below;
  std::vector<at::Tensor> outputs;
  at::Tensor x = Embed(table_, inputs.view(-1));
  for (size_t index = 0; index < layers_.size(); ++index) {
    x = layers_[index]->Forward(InputOf(index, x, outputs), inputs.size(1));
  }
  return InputOf(layers_.size(), x, outputs);
}

double Model::Loss(const at::Tensor& inputs, const at::Tensor& targets, const at::Tensor& mask,
                   double gradient_scale, diagnostics::ActivationVariance* variance) {
  const at::Tensor flat_mask = mask.defined() ? mask.view(-1) : mask;
  if (gradient_scale == 0) {
    const at::Tensor x = Decode(inputs);
    const at::AutoDispatchBelowADInplaceOrView below;
    return head_->Run(x, targets.view(-1), flat_mask, 0.0).sum;
  }
  const at::AutoGradMode grad(true);
  const at::Tensor tokens = inputs.view(-1);
  // The stream is the leaf: autograd ends here, and the table's gradient is added by hand.
  at::Tensor leaf = Embed(table_, tokens).set_requires_grad(true);
  at::Tensor x = leaf;
  std::vector<at::Tensor> outputs;
  for (size_t index = 0; index < layers_.size(); ++index) {
    x = LayerFunction::apply(InputOf(index, x, outputs), layers_[index].get(), inputs.size(1));
    if (variance != nullptr) variance->Add(index, x.detach(), flat_mask);
  }
  x = InputOf(layers_.size(), x, outputs);
  HeadCall call{head_.get(), targets.view(-1), flat_mask, gradient_scale, {}};
  HeadFunction::apply(x, &call).backward();
  EmbedBackward(leaf.grad(), tokens, table_gradient_);
  return call.loss.sum;
}

at::Tensor Model::Logits(const at::Tensor& inputs) {
  const at::Tensor x = Decode(inputs);
  const at::AutoDispatchBelowADInplaceOrView below;
  return head_->Logits(x).view({inputs.size(0), inputs.size(1), shape_.vocab_size});
}

}  // namespace mixln::worker::trainer::model
