#include "worker/trainer/model/model.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "worker/trainer/model/embedding.h"

namespace mixln::worker::trainer::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr char kTable[] = "model.embed_tokens.weight";
constexpr char kFinalNorm[] = "model.norm.weight";
constexpr char kHead[] = "lm_head.weight";

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
    : shape_(shape) {
  const auto add_unit = [&](const std::vector<fsdp::ParameterSpec>& parameters) -> fsdp::Unit& {
    units_.push_back(std::make_unique<fsdp::Unit>(parameters, shape.bf16));
    fsdp::Initialize(*units_.back(), parameters, initialization.seed);
    return *units_.back();
  };
  fsdp::Unit& embedding = add_unit(
      {{kTable, {shape.vocab_size, shape.hidden_size}, initialization.embedding_standard_deviation}});
  table_ = embedding.Master(embedding.Find(kTable));
  table_gradient_ = embedding.Gradient(embedding.Find(kTable));

  const auto rope =
      std::make_shared<const kernels::RopeTable>(shape.context, shape.head_size(), shape.rope_theta);
  for (int64_t index = 0; index < shape.layers; ++index) {
    const norm::LayerForm form = norm::FormOf(placements.at(static_cast<size_t>(index)),
                                              static_cast<int>(index), static_cast<int>(shape.layers));
    fsdp::Unit& unit = add_unit(LayerParameters(shape, form, index, initialization.standard_deviation));
    layers_.push_back(std::make_unique<Layer>(shape, form, index, unit, rope));
  }

  std::vector<fsdp::ParameterSpec> last = {{kFinalNorm, {shape.hidden_size}}};
  if (!shape.tie_embeddings) {
    last.push_back({kHead, {shape.vocab_size, shape.hidden_size}, initialization.standard_deviation});
  }
  fsdp::Unit& unit = add_unit(last);
  const fsdp::Segment& final_norm = unit.Find(kFinalNorm);
  const fsdp::Unit& owner = shape.tie_embeddings ? embedding : unit;
  const std::string matrix = shape.tie_embeddings ? kTable : kHead;
  head_ = std::make_unique<Head>(norm::RmsNormParameter{unit.Master(final_norm), unit.Gradient(final_norm)},
                                 shape.norm_eps, owner.Matrix(matrix), owner.MatrixGradient(matrix));
}

std::vector<fsdp::Unit*> Model::units() {
  std::vector<fsdp::Unit*> units;
  for (const auto& unit : units_) units.push_back(unit.get());
  return units;
}

at::Tensor Model::Stream(const at::Tensor& inputs) {
  const at::AutoDispatchBelowADInplaceOrView below;
  at::Tensor x = Embed(table_, inputs.view(-1));
  for (const auto& layer : layers_) x = layer->Forward(x, inputs.size(1));
  return x;
}

double Model::Loss(const at::Tensor& inputs, const at::Tensor& targets, const at::Tensor& mask,
                   double gradient_scale, diagnostics::ActivationVariance* variance) {
  const at::Tensor flat_mask = mask.defined() ? mask.view(-1) : mask;
  if (gradient_scale == 0) {
    const at::Tensor x = Stream(inputs);
    const at::AutoDispatchBelowADInplaceOrView below;
    return head_->Run(x, targets.view(-1), flat_mask, 0.0).sum;
  }
  const at::AutoGradMode grad(true);
  const at::Tensor tokens = inputs.view(-1);
  // The stream is the leaf: autograd ends here, and the table's gradient is added by hand.
  at::Tensor leaf = Embed(table_, tokens).set_requires_grad(true);
  at::Tensor x = leaf;
  for (size_t index = 0; index < layers_.size(); ++index) {
    x = LayerFunction::apply(x, layers_[index].get(), inputs.size(1));
    if (variance != nullptr) variance->Add(index, x.detach(), flat_mask);
  }
  HeadCall call{head_.get(), targets.view(-1), flat_mask, gradient_scale, {}};
  HeadFunction::apply(x, &call).backward();
  EmbedBackward(leaf.grad(), tokens, table_gradient_);
  return call.loss.sum;
}

at::Tensor Model::Logits(const at::Tensor& inputs) {
  const at::Tensor x = Stream(inputs);
  const at::AutoDispatchBelowADInplaceOrView below;
  return head_->Logits(x).view({inputs.size(0), inputs.size(1), shape_.vocab_size});
}

}  // namespace mixln::worker::trainer::model
