#include "worker/trainer/model/layer.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include "worker/trainer/kernels/attention.h"
#include "worker/trainer/kernels/swiglu.h"
#include "worker/trainer/model/linear.h"

namespace mixln::worker::trainer::model {
namespace {

constexpr int64_t kRows = 16;  // of a thread at least

std::string Prefix(int64_t index) {
  return "model.layers." + std::to_string(index) + ".";
}

// Calls `work` with the tensor's elements as the kernels' type.
template <typename Work>
void WithType(const at::Tensor& tensor, Work work) {
  if (tensor.scalar_type() == at::kBFloat16) {
    work(kernels::Bf16{});
  } else {
    work(float{});
  }
}

template <typename T>
T* Data(const at::Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}

norm::Sublayer MakeSublayer(const Shape& shape, const norm::SublayerForm& form, int64_t index,
                            fsdp::Unit& unit) {
  const auto make_norm = [&](const norm::VectorName& name, int groups) {
    if (name.empty()) return norm::Norm{};
    const fsdp::Segment& segment = unit.Find(VectorPath(index, name));
    return norm::Norm{unit.Master(segment), unit.Gradient(segment), shape.norm_kind, shape.norm_eps, groups};
  };
  norm::Sublayer::Parameters parameters{
      make_norm(form.before, form.before_groups), make_norm(form.inner, 1), make_norm(form.after, 1), {}};
  if (!form.omega.empty()) {
    const fsdp::Segment& segment = unit.Find(VectorPath(index, form.omega));
    parameters.omega = {unit.Master(segment), unit.Gradient(segment)};
  }
  return norm::Sublayer(form, parameters, shape.bf16 ? at::kBFloat16 : at::kFloat);
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

Layer::Layer(const Shape& shape, const norm::LayerForm& form, int64_t index, fsdp::Unit& unit,
             std::shared_ptr<const kernels::RopeTable> rope)
    : shape_(shape),
      rope_(std::move(rope)),
      attention_(MakeSublayer(shape, form.attention, index, unit)),
      mlp_(MakeSublayer(shape, form.mlp, index, unit)) {
  const auto linear = [&](const std::string& name, int joined) {
    const std::string full = Prefix(index) + name + ".weight";
    return Linear{unit.Matrix(full, joined), unit.MatrixGradient(full, joined)};
  };
  qkv_ = linear("self_attn.q_proj", 2);
  output_ = linear("self_attn.o_proj", 0);
  gate_up_ = linear("mlp.gate_proj", 1);
  down_ = linear("mlp.down_proj", 0);
}

at::Tensor Layer::Forward(const at::Tensor& x, int64_t time) {
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
  const at::Tensor dmiddle = mlp_.EnterBackward(MlpBackward(mlp_.LeaveBackward(dnext)));
  return attention_.EnterBackward(AttentionBackward(attention_.LeaveBackward(dmiddle)));
}

at::Tensor Layer::Attention(const at::Tensor& input) {
  const int64_t rows = input.size(0);
  const kernels::AttentionShape attention{rows / time_, time_, shape_.heads, shape_.kv_heads,
                                          shape_.head_size()};
  attention_input_ = input;
  qkv_rotated_ = model::Linear(input, qkv_.weight);
  heads_ = at::empty({rows, shape_.hidden_size}, input.options());
  lse_ = at::empty({attention.batch, shape_.heads, time_}, input.options().dtype(at::kFloat));
  WithType(input, [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, rows, kRows, [&](int64_t begin, int64_t end) {
      kernels::RotateRows(*rope_, Data<T>(qkv_rotated_), qkv_rotated_.size(1), shape_.heads + shape_.kv_heads,
                          time_, false, begin, end);
    });
    at::parallel_for(0, attention.batch * attention.kv_heads, 1, [&](int64_t begin, int64_t end) {
      kernels::AttentionTasks(attention, Data<T>(qkv_rotated_), Data<T>(heads_), lse_.data_ptr<float>(),
                              begin, end);
    });
  });
  return model::Linear(heads_, output_.weight);
}

at::Tensor Layer::AttentionBackward(const at::Tensor& doutput) {
  const int64_t rows = doutput.size(0);
  const kernels::AttentionShape attention{rows / time_, time_, shape_.heads, shape_.kv_heads,
                                          shape_.head_size()};
  AccumulateWeightGradient(doutput, heads_, output_.gradient);
  const at::Tensor dheads = LinearBackward(doutput, output_.weight);
  const at::Tensor dqkv = at::empty_like(qkv_rotated_);
  WithType(doutput, [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, attention.batch * attention.kv_heads, 1, [&](int64_t begin, int64_t end) {
      kernels::AttentionTasksBackward(attention, Data<T>(qkv_rotated_), Data<T>(heads_),
                                      lse_.data_ptr<float>(), Data<T>(dheads), Data<T>(dqkv), begin, end);
    });
    at::parallel_for(0, rows, kRows, [&](int64_t begin, int64_t end) {
      kernels::RotateRows(*rope_, Data<T>(dqkv), dqkv.size(1), shape_.heads + shape_.kv_heads, time_, true,
                          begin, end);
    });
  });
  AccumulateWeightGradient(dqkv, attention_input_, qkv_.gradient);
  attention_input_ = qkv_rotated_ = heads_ = lse_ = at::Tensor();
  return LinearBackward(dqkv, qkv_.weight);
}

at::Tensor Layer::Mlp(const at::Tensor& input) {
  const int64_t rows = input.size(0);
  mlp_input_ = input;
  gate_up_output_ = model::Linear(input, gate_up_.weight);
  swiglu_ = at::empty({rows, shape_.intermediate_size}, input.options());
  WithType(input, [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, rows, kRows, [&](int64_t begin, int64_t end) {
      kernels::SwigluRows(Data<T>(gate_up_output_), Data<T>(swiglu_), shape_.intermediate_size, begin, end);
    });
  });
  return model::Linear(swiglu_, down_.weight);
}

at::Tensor Layer::MlpBackward(const at::Tensor& doutput) {
  AccumulateWeightGradient(doutput, swiglu_, down_.gradient);
  const at::Tensor dswiglu = LinearBackward(doutput, down_.weight);
  WithType(doutput, [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, doutput.size(0), kRows, [&](int64_t begin, int64_t end) {
      kernels::SwigluRowsBackward(Data<T>(gate_up_output_), Data<T>(dswiglu), shape_.intermediate_size, begin,
                                  end);
    });
  });
  const at::Tensor dgate_up = gate_up_output_;
  AccumulateWeightGradient(dgate_up, mlp_input_, gate_up_.gradient);
  mlp_input_ = gate_up_output_ = swiglu_ = at::Tensor();
  return LinearBackward(dgate_up, gate_up_.weight);
}

}  // namespace mixln::worker::trainer::model
