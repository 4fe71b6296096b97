#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "worker/trainer/diagnostics/activation_variance.h"
#include "worker/trainer/fsdp/unit.h"
#include "worker/trainer/model/head.h"
#include "worker/trainer/model/layer.h"
#include "worker/trainer/model/shape.h"
#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::model {

// How weights start.
struct Initialization {
  double standard_deviation = 0;
  double embedding_standard_deviation = 0;
  uint64_t seed = 0;
};

// The decoder: embedding, layers, head, each with its unit. Between the units runs autograd, one Function a
// unit; weights are not its inputs, the Function holds the unit.
class Model {
 public:
  // One placement for each layer.
  Model(const Shape& shape, const std::vector<norm::Placement>& placements,
        const Initialization& initialization);

  // The embedding's unit, each layer's, the head's.
  std::vector<fsdp::Unit*> units();

  // inputs and targets int64 [batch, time], mask uint8 [batch, time] or undefined, all contiguous. Returns
  // the sum of negative log-likelihoods in nats. Where gradient_scale is not 0, adds the gradient of
  // gradient_scale·sum, and gives `variance` (null: not wanted) each layer's output.
  double Loss(const at::Tensor& inputs, const at::Tensor& targets, const at::Tensor& mask,
              double gradient_scale, diagnostics::ActivationVariance* variance = nullptr);

  // fp32 [batch, time, vocab].
  at::Tensor Logits(const at::Tensor& inputs);

 private:
  // The stream before the head, without autograd.
  at::Tensor Stream(const at::Tensor& inputs);

  Shape shape_;
  std::vector<std::unique_ptr<fsdp::Unit>> units_;
  at::Tensor table_;
  at::Tensor table_gradient_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::unique_ptr<Head> head_;
};

}  // namespace mixln::worker::trainer::model
