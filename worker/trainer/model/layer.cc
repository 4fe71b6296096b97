#include "worker/trainer/model/layer.h"

#include <ATen/Functions.h>

#include "worker/trainer/diagnostics/phase.h"
#include "worker/trainer/model/linear.h"

namespace mixln::worker::trainer::model {

using diagnostics::Phase;
using diagnostics::PhaseSpan;

namespace {

std::string Prefix(int64_t index) {
  return "model.layers." + std::to_string(index) + ".";
}

norm::Sublayer MakeSublayer(const device::Device& device, const Shape& shape, const norm::SublayerForm& form,
                            int64_t index, fsdp::Unit& unit) {
  const auto make_norm = [&](const norm::VectorName& name, int groups) {
    if (name.empty()) return norm::Norm{};
    const std::string path = VectorPath(index, name);
    return norm::Norm{unit.Vector(path), unit.VectorGradient(path), shape.norm_kind, shape.norm_eps, groups};
  };
  norm::Sublayer::Parameters parameters{
      make_norm(form.before, form.before_groups), make_norm(form.inner, 1), make_norm(form.after, 1), {}};
  if (!form.omega.empty()) {
    const std::string path = VectorPath(index, form.omega);
    parameters.omega = {unit.Vector(path), unit.VectorGradient(path)};
  }
  return norm::Sublayer(device, form, parameters, shape.bf16 ? at::kBFloat16 : at::kFloat);
}

}  // namespace

std::vector<fsdp::ParameterSpec> LayerParameters(const Shape& shape, const norm::LayerForm& form,
                                                 int64_t index, const Initialization& initialization) {
  const int64_t hidden = shape.hidden_size;
  const int64_t kv = shape.kv_heads * shape.head_size();
  std::vector<fsdp::ParameterSpec> parameters;
  const auto matrix = [&](const std::string& name, int64_t rows, int64_t columns, bool joined) {
    const double deviation = MatrixDeviation(initialization, form, shape.layers, name, rows, columns);
    parameters.push_back({Prefix(index) + name + ".weight", {rows, columns}, deviation, joined});
  };
  matrix("self_attn.q_proj", hidden, hidden, false);
  matrix("self_attn.k_proj", kv, hidden, true);
  matrix("self_attn.v_proj", kv, hidden, true);
  matrix("self_attn.o_proj", hidden, hidden, false);
  matrix("mlp.gate_proj", shape.intermediate_size, hidden, false);
  matrix("mlp.up_proj", shape.intermediate_size, hidden, true);
  matrix("mlp.down_proj", hidden, shape.intermediate_size, false);
  for (const norm::SublayerForm* sublayer : {&form.attention, &form.mlp}) {
    for (const norm::VectorName* name :
         {&sublayer->before, &sublayer->inner, &sublayer->after, &sublayer->omega}) {
      if (!name->empty()) parameters.push_back({VectorPath(index, *name), {hidden}});
    }
  }
  if (form.sums_outputs) parameters.push_back(OutputSumParameter(VectorPath(index, kOutputSum), index + 1));
  return parameters;
}

std::string VectorPath(int64_t index, const norm::VectorName& name) {
  return Prefix(index) + name + ".weight";
}

fsdp::ParameterSpec OutputSumParameter(const std::string& name, int64_t outputs) {
  fsdp::ParameterSpec parameter{name, {outputs}};
  parameter.start_value = 1.0 / static_cast<double>(outputs);
  return parameter;
}

Layer::Layer(const device::Device& device, const Shape& shape, const norm::LayerForm& form, int64_t index,
             fsdp::Unit& unit, device::Rope rope)
    : device_(&device),
      shape_(shape),
      unit_(&unit),
      rope_(std::move(rope)),
      attention_(MakeSublayer(device, shape, form.attention, index, unit)),
      mlp_(MakeSublayer(device, shape, form.mlp, index, unit)) {
  const auto find = [&](const std::string& name, int joined) {
    return unit.Find(Prefix(index) + name + ".weight", joined);
  };
  qkv_ = find("self_attn.q_proj", 2);
  output_ = find("self_attn.o_proj", 0);
  gate_up_ = find("mlp.gate_proj", 1);
  down_ = find("mlp.down_proj", 0);
}

at::Tensor Layer::Forward(const at::Tensor& x, int64_t time) {
  const PhaseSpan span(Phase::kNorms);
  time_ = time;
  const at::Tensor middle = attention_.Leave(Attention(attention_.Enter(x)));
  return mlp_.Leave(Mlp(mlp_.Enter(middle)));
}

at::Tensor Layer::ForwardAndMeasure(Part part, const at::Tensor& x, int64_t time,
                                    norm::Sublayer::Summands& summands) {
  time_ = time;
  return part == Part::kAttention ? attention_.LeaveAndMeasure(Attention(attention_.Enter(x)), summands)
                                  : mlp_.LeaveAndMeasure(Mlp(mlp_.Enter(x)), summands);
}

at::Tensor Layer::Backward(const at::Tensor& dnext) {
  const PhaseSpan span(Phase::kNorms);
  const at::Tensor dmiddle = mlp_.EnterBackward(MlpBackward(mlp_.LeaveBackward(dnext)));
  return attention_.EnterBackward(AttentionBackward(attention_.LeaveBackward(dmiddle)));
}

void Layer::Forget() {
  attention_.Forget();
  mlp_.Forget();
  attention_input_ = qkv_rotated_ = at::Tensor();
  attended_ = {};
  mlp_input_ = gate_up_output_ = swiglu_ = at::Tensor();
}

// Rotates queries and keys of [rows, qkv], or rotates them back.
void Layer::Rotate(const at::Tensor& qkv, bool back) const {
  device_->rotate(rope_, qkv, shape_.heads + shape_.kv_heads, time_, back);
}

kernels::AttentionShape Layer::AttentionShape(int64_t rows) const {
  return {rows / time_, time_, shape_.heads, shape_.kv_heads, shape_.head_size()};
}

at::Tensor Layer::Attention(const at::Tensor& input) {
  const PhaseSpan span(Phase::kAttention);
  attention_input_ = input;
  qkv_rotated_ = Linear(*device_, input, unit_->Weight(qkv_));
  Rotate(qkv_rotated_, false);
  attended_ = device_->attend(AttentionShape(input.size(0)), device_->operand(qkv_rotated_));
  return Linear(*device_, attended_.output.to(input.scalar_type()), unit_->Weight(output_));
}

at::Tensor Layer::AttentionBackward(const at::Tensor& doutput) {
  const PhaseSpan span(Phase::kAttention);
  AccumulateWeightGradient(*device_, doutput, attended_.output, unit_->Gradient(output_));
  const at::Tensor doutput_of_heads = LinearBackward(*device_, doutput, unit_->Weight(output_));
  const at::Tensor dqkv =
      device_
          ->attend_backward(AttentionShape(doutput.size(0)), device_->operand(qkv_rotated_), attended_,
                            device_->operand(doutput_of_heads))
          .to(doutput.scalar_type());
  Rotate(dqkv, true);
  AccumulateWeightGradient(*device_, dqkv, attention_input_, unit_->Gradient(qkv_));
  attention_input_ = qkv_rotated_ = at::Tensor();
  attended_ = {};
  return LinearBackward(*device_, dqkv, unit_->Weight(qkv_));
}

at::Tensor Layer::Mlp(const at::Tensor& input) {
  const PhaseSpan span(Phase::kElementwise);
  const int64_t rows = input.size(0);
  mlp_input_ = input;
  gate_up_output_ = Linear(*device_, input, unit_->Weight(gate_up_));
  swiglu_ = at::empty({rows, shape_.intermediate_size}, input.options());
  device_->swiglu(gate_up_output_, swiglu_);
  return Linear(*device_, swiglu_, unit_->Weight(down_));
}

at::Tensor Layer::MlpBackward(const at::Tensor& doutput) {
  const PhaseSpan span(Phase::kElementwise);
  AccumulateWeightGradient(*device_, doutput, swiglu_, unit_->Gradient(down_));
  const at::Tensor dswiglu = LinearBackward(*device_, doutput, unit_->Weight(down_));
  device_->swiglu_backward(gate_up_output_, dswiglu);
  const at::Tensor dgate_up = gate_up_output_;
  AccumulateWeightGradient(*device_, dgate_up, mlp_input_, unit_->Gradient(gate_up_));
  mlp_input_ = gate_up_output_ = swiglu_ = at::Tensor();
  return LinearBackward(*device_, dgate_up, unit_->Weight(gate_up_));
}

}  // namespace mixln::worker::trainer::model
