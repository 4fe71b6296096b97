#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "worker/trainer/diagnostics/activation_variance.h"
#include "worker/trainer/fsdp/unit.h"
#include "worker/trainer/model/head.h"
#include "worker/trainer/model/initialization.h"
#include "worker/trainer/model/layer.h"
#include "worker/trainer/model/shape.h"
#include "worker/trainer/norm/dlcl.h"
#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::model {

// The decoder: embedding, layers, head, each with its unit. Between the units runs autograd, one Function a
// unit; weights are not its inputs, the Function holds the unit.
class Model {
 public:
  // One placement for each layer.
  Model(const Shape& shape, const std::vector<norm::Placement>& placements,
        const Initialization& initialization);

  // Whether InitializeFromBatch has something to do.
  bool depends_on_first_batch() const;

  // Fills in the initial weights that depend on data, while the others are the initial ones (admin_start.h).
  // inputs int64 [batch, time], contiguous: the micro-batches of the first global batch.
  void InitializeFromBatch(const std::vector<at::Tensor>& inputs);

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
  at::Tensor Decode(const at::Tensor& inputs);

  // What layer `index`, or for index L the head, takes in behind `previous`, the output of the layer before
  // or the embedding: that itself, or with DLCL the learned sum over `outputs` with it added.
  at::Tensor InputOf(size_t index, const at::Tensor& previous, std::vector<at::Tensor>& outputs);

  Shape shape_;
  Initialization initialization_;
  std::vector<norm::LayerForm> forms_;
  std::shared_ptr<const kernels::RopeTable> rope_;
  std::vector<std::unique_ptr<fsdp::Unit>> units_;
  at::Tensor table_;
  at::Tensor table_gradient_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<norm::OutputSum> sums_;  // DLCL's, of each layer and the head; else none
  std::unique_ptr<Head> head_;
};

}  // namespace mixln::worker::trainer::model
