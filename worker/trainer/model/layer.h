#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "worker/trainer/device/device.h"
#include "worker/trainer/fsdp/unit.h"
#include "worker/trainer/model/initialization.h"
#include "worker/trainer/model/shape.h"
#include "worker/trainer/norm/sublayer.h"

namespace mixln::worker::trainer::model {

// The parameters of decoder layer `index` (from 0) with the vectors of `form`. Matrices are in the order q k
// v o gate up down.
std::vector<fsdp::ParameterSpec> LayerParameters(const Shape& shape, const norm::LayerForm& form,
                                                 int64_t index, const Initialization& initialization);

// The full name of a vector of layer `index`.
std::string VectorPath(int64_t index, const norm::VectorName& name);

// A row of DLCL's W over `outputs` outputs; and its name within a layer.
fsdp::ParameterSpec OutputSumParameter(const std::string& name, int64_t outputs);
inline constexpr char kOutputSum[] = "output_sum";

// The two sublayers of a decoder layer.
enum class Part { kAttention, kMlp };

// One decoder layer: causal self-attention with rotary positions, and a SwiGLU MLP, each within its
// norm::Sublayer. Forward and backward are written out. It keeps what Backward needs from the last Forward;
// Backward adds the gradients of the weights to the unit's and lets go of the rest. Its unit's matrices must
// have been gathered for both, and a gradient taken for Backward.
class Layer {
 public:
  // `rope` is for the shape's context and head size.
  Layer(const device::Device& device, const Shape& shape, const norm::LayerForm& form, int64_t index,
        fsdp::Unit& unit, device::Rope rope);

  // fp32 [batch·time, hidden] to the same.
  at::Tensor Forward(const at::Tensor& x, int64_t time);
  at::Tensor Backward(const at::Tensor& dnext);

  // Lets go of what Forward has kept: Backward is to follow another Forward of the same input.
  void Forget();

  // One sublayer's forward pass, in fp32 only, with the moments of what it adds up.
  at::Tensor ForwardAndMeasure(Part part, const at::Tensor& x, int64_t time,
                               norm::Sublayer::Summands& summands);

 private:
  at::Tensor Attention(const at::Tensor& input);
  at::Tensor AttentionBackward(const at::Tensor& doutput);
  void Rotate(const at::Tensor& qkv, bool back) const;
  kernels::AttentionShape AttentionShape(int64_t rows) const;
  at::Tensor Mlp(const at::Tensor& input);
  at::Tensor MlpBackward(const at::Tensor& doutput);

  const device::Device* device_;
  Shape shape_;
  fsdp::Unit* unit_;
  device::Rope rope_;
  fsdp::MatrixRange qkv_, output_, gate_up_, down_;
  norm::Sublayer attention_;
  norm::Sublayer mlp_;

  int64_t time_ = 0;
  at::Tensor attention_input_, qkv_rotated_;
  device::Attended attended_;
  at::Tensor mlp_input_, gate_up_output_, swiglu_;
};

}  // namespace mixln::worker::trainer::model
