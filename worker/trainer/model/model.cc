#include "worker/trainer/model/model.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "worker/trainer/kernels/rope.h"
#include "worker/trainer/model/admin_start.h"

namespace mixln::worker::trainer::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr char kTable[] = "model.embed_tokens.weight";
constexpr char kFinalNorm[] = "model.norm.weight";
constexpr char kHead[] = "lm_head.weight";
constexpr char kLastSum[] = "model.output_sum.weight";

// A decoder layer in a pass: with its parameters there when it computes.
struct LayerCall {
  Layer* layer;
  fsdp::Pipeline* pipeline;
  size_t unit;
  int64_t time;
  bool recompute;  // forget what the forward pass has kept, and do it again in the backward pass
};

// A decoder layer as autograd sees it.
struct LayerFunction : public torch::autograd::Function<LayerFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const LayerCall* call) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->saved_data["call"] = reinterpret_cast<int64_t>(call);
    call->pipeline->BeginForward(call->unit);
    const at::Tensor next = call->layer->Forward(x, call->time);
    call->pipeline->EndForward(call->unit);
    if (call->recompute) {
      call->layer->Forget();
      context->save_for_backward({x});
    }
    return next;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto* call = reinterpret_cast<const LayerCall*>(context->saved_data["call"].toInt());
    call->pipeline->BeginBackward(call->unit);
    if (call->recompute) call->layer->Forward(context->get_saved_variables()[0], call->time);
    at::Tensor dx = call->layer->Backward(gradients[0]);
    call->pipeline->EndBackward(call->unit);
    return {std::move(dx), at::Tensor()};
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
    return at::zeros({}, at::kDouble);  // the sum is asked for once all is under way
  }
  static variable_list backward(AutogradContext* context, const variable_list&) {
    auto* call = reinterpret_cast<HeadCall*>(context->saved_data["call"].toInt());
    return {std::move(call->loss.dx), at::Tensor()};
  }
};

device::Rope RopeOf(const device::Device& device, const Shape& shape) {
  kernels::RopeTable table(shape.context, shape.head_size(), shape.rope_theta);
  const auto copy = [&](std::vector<float>& angles) {
    return at::from_blob(angles.data(), {shape.context, table.half}, at::kFloat).clone().to(device.place);
  };
  return {copy(table.cos), copy(table.sin)};
}

}  // namespace

Model::Model(const device::Device& device, const Shape& shape, const std::vector<norm::Placement>& placements,
             const Initialization& initialization, const Execution& execution)
    : device_(&device),
      shape_(shape),
      initialization_(initialization),
      ranks_(execution.sharding.ranks),
      recompute_(execution.activation_checkpointing),
      rope_(RopeOf(device, shape)) {
  const auto add_unit = [&](const std::vector<fsdp::ParameterSpec>& parameters,
                            fsdp::Compute compute) -> fsdp::Unit& {
    units_.push_back(std::make_unique<fsdp::Unit>(device, parameters, compute, execution.sharding));
    unit_list_.push_back(units_.back().get());
    fsdp::Initialize(*units_.back(), parameters, initialization.seed);
    return *units_.back();
  };
  const fsdp::Compute compute = shape.bf16 ? fsdp::Compute::kBf16 : fsdp::Compute::kFp32;
  fsdp::Unit& embedding =
      add_unit({{kTable, {shape.vocab_size, shape.hidden_size}, initialization.embedding_standard_deviation}},
               shape.bf16 && shape.tie_embeddings ? fsdp::Compute::kBoth : fsdp::Compute::kFp32);
  table_ = embedding.Find(kTable);

  const auto add_sum = [&](const fsdp::Unit& unit, const std::string& name) {
    sums_.emplace_back(device, unit.Vector(name), unit.VectorGradient(name));
  };
  for (int64_t index = 0; index < shape.layers; ++index) {
    const norm::LayerForm form = norm::FormOf(placements.at(static_cast<size_t>(index)),
                                              static_cast<int>(index), static_cast<int>(shape.layers));
    fsdp::Unit& unit = add_unit(LayerParameters(shape, form, index, initialization), compute);
    layers_.push_back(std::make_unique<Layer>(device, shape, form, index, unit, rope_));
    if (form.sums_outputs) add_sum(unit, VectorPath(index, kOutputSum));
    forms_.push_back(form);
  }

  std::vector<fsdp::ParameterSpec> last = {{kFinalNorm, {shape.hidden_size}}};
  if (!shape.tie_embeddings) {
    last.push_back({kHead, {shape.vocab_size, shape.hidden_size}, initialization.standard_deviation});
  }
  if (!sums_.empty()) last.push_back(OutputSumParameter(kLastSum, shape.layers + 1));
  fsdp::Unit& unit = add_unit(last, compute);
  if (!sums_.empty()) add_sum(unit, kLastSum);
  fsdp::Unit& owner = shape.tie_embeddings ? embedding : unit;
  head_ = std::make_unique<Head>(
      device,
      norm::Norm{unit.Vector(kFinalNorm), unit.VectorGradient(kFinalNorm), shape.norm_kind, shape.norm_eps},
      owner, owner.Find(shape.tie_embeddings ? kTable : kHead));
  pipeline_.emplace(unit_list_, fsdp::Pipeline::Options{execution.reshard, shape.tie_embeddings});
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
  pipeline_->BeginForward(0);
  for (const at::Tensor& input : inputs) {
    streams.push_back({Embed(input.view(-1)), input.size(1)});
  }
  pipeline_->EndForward(0);
  StartAdmin(*device_, shape_, forms_, initialization_, rope_, std::move(streams),
             {unit_list_.begin() + 1, unit_list_.end()}, ranks_);
}

at::Tensor Model::Embed(const at::Tensor& tokens) const {
  const at::Tensor table = units_.front()->Fp32Weight(table_);
  at::Tensor x = at::empty({tokens.size(0), table.size(1)}, table.options());
  device_->embed(table, tokens, x);
  return x;
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
  pipeline_->BeginForward(0);
  at::Tensor x = Embed(inputs.view(-1));
  pipeline_->EndForward(0);
  for (size_t index = 0; index < layers_.size(); ++index) {
    pipeline_->BeginForward(index + 1);
    x = layers_[index]->Forward(InputOf(index, x, outputs), inputs.size(1));
    layers_[index]->Forget();
    pipeline_->EndForward(index + 1);
  }
  pipeline_->BeginForward(units_.size() - 1);
  return InputOf(layers_.size(), x, outputs);
}

double Model::Loss(const at::Tensor& inputs, const at::Tensor& targets, const at::Tensor& mask,
                   double gradient_scale, diagnostics::ActivationVariance* variance) {
  const at::Tensor flat_mask = mask.defined() ? mask.view(-1).to(device_->place) : mask;
  const at::Tensor flat_targets = targets.view(-1).to(device_->place);
  const size_t last = units_.size() - 1;
  if (gradient_scale == 0) {
    const at::Tensor x = Decode(inputs);
    const at::AutoDispatchBelowADInplaceOrView below;
    const double sum = head_->Run(x, flat_targets, flat_mask, 0.0).Sum();
    pipeline_->EndForward(last);
    return sum;
  }
  const at::AutoGradMode grad(true);
  const at::Tensor tokens = inputs.view(-1);
  std::vector<LayerCall> calls;
  for (size_t i = 0; i < layers_.size(); ++i) {
    calls.push_back({layers_[i].get(), &*pipeline_, i + 1, inputs.size(1), recompute_});
  }
  pipeline_->BeginForward(0);
  // The stream is the leaf: autograd ends here, and the table's gradient is added by hand.
  at::Tensor leaf = Embed(tokens).set_requires_grad(true);
  pipeline_->EndForward(0);
  at::Tensor x = leaf;
  std::vector<at::Tensor> outputs;
  for (size_t index = 0; index < calls.size(); ++index) {
    x = LayerFunction::apply(InputOf(index, x, outputs), &calls[index]);
    if (variance != nullptr) variance->Add(index, x.detach(), flat_mask);
  }
  x = InputOf(layers_.size(), x, outputs);
  HeadCall call{head_.get(), flat_targets, flat_mask, gradient_scale, {}};
  pipeline_->BeginForward(last);
  pipeline_->BeginBackward(last);
  if (shape_.tie_embeddings) pipeline_->BeginBackward(0);  // the head adds to the table's gradient
  const at::Tensor loss = HeadFunction::apply(x, &call);
  pipeline_->EndBackward(last);
  loss.backward();
  pipeline_->BeginBackward(0);
  device_->embed_backward(leaf.grad(), tokens, units_.front()->Gradient(table_));
  pipeline_->EndBackward(0);
  return call.loss.Sum();
}

at::Tensor Model::Logits(const at::Tensor& inputs) {
  const at::Tensor x = Decode(inputs);
  const at::AutoDispatchBelowADInplaceOrView below;
  const at::Tensor logits = head_->Logits(x).view({inputs.size(0), inputs.size(1), shape_.vocab_size});
  pipeline_->EndForward(units_.size() - 1);
  return logits;
}

}  // namespace mixln::worker::trainer::model
