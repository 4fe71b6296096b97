#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "worker/trainer/device/device.h"
#include "worker/trainer/diagnostics/activation_variance.h"
#include "worker/trainer/fsdp/pipeline.h"
#include "worker/trainer/fsdp/unit.h"
#include "worker/trainer/model/head.h"
#include "worker/trainer/model/initialization.h"
#include "worker/trainer/model/layer.h"
#include "worker/trainer/model/shape.h"
#include "worker/trainer/norm/dlcl.h"
#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::model {

// How a model is spread over ranks, and what it keeps from the forward pass for the backward pass.
struct Execution {
  fsdp::Sharding sharding;
  bool reshard = true;                    // let go of gathered parameters between the two
  bool activation_checkpointing = false;  // keep each layer's input only, and compute the layer again
};

// The decoder: embedding, layers, head, each with its unit. Between the units runs autograd, one Function a
// unit; weights are not its inputs, the Function holds the unit.
class Model {
 public:
  // One placement for each layer. It computes on the device, which outlives it.
  Model(const device::Device& device, const Shape& shape, const std::vector<norm::Placement>& placements,
        const Initialization& initialization, const Execution& execution);

  // Whether InitializeFromBatch has something to do.
  bool depends_on_first_batch() const;

  // Fills in the initial weights that depend on data, while the others are the initial ones (admin_start.h).
  // inputs int64 [batch, time], contiguous, on the host: the micro-batches of the first global batch.
  void InitializeFromBatch(const std::vector<at::Tensor>& inputs);

  // The embedding's unit, each layer's, the head's.
  const std::vector<fsdp::Unit*>& units() const { return unit_list_; }

  // inputs and targets int64 [batch, time], mask uint8 [batch, time] or undefined, all contiguous and on the
  // host. Returns
  // the sum of negative log-likelihoods in nats. Where gradient_scale is not 0, adds the gradient of
  // gradient_scale·sum, and gives `variance` (null: not wanted) each layer's output. Ranks call it together,
  // each with rows of its own.
  double Loss(const at::Tensor& inputs, const at::Tensor& targets, const at::Tensor& mask,
              double gradient_scale, diagnostics::ActivationVariance* variance = nullptr);

  // Waits until every gradient is with its owner: before the units' gradients are used.
  void FinishGradients() { pipeline_->Finish(); }

  // fp32 [batch, time, vocab], on the device.
  at::Tensor Logits(const at::Tensor& inputs);

 private:
  // The stream before the head, without autograd. Leaves the head's parameters gathered.
  at::Tensor Decode(const at::Tensor& inputs);

  // What layer `index`, or for index L the head, takes in behind `previous`, the output of the layer before
  // or the embedding: that itself, or with DLCL the learned sum over `outputs` with it added.
  at::Tensor InputOf(size_t index, const at::Tensor& previous, std::vector<at::Tensor>& outputs);

  // The table's rows of host tokens [rows].
  at::Tensor Embed(const at::Tensor& tokens) const;

  const device::Device* device_;
  Shape shape_;
  Initialization initialization_;
  fsdp::Collectives* ranks_;
  bool recompute_;
  std::vector<norm::LayerForm> forms_;
  device::Rope rope_;
  std::vector<std::unique_ptr<fsdp::Unit>> units_;
  std::vector<fsdp::Unit*> unit_list_;
  std::optional<fsdp::Pipeline> pipeline_;
  fsdp::MatrixRange table_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<norm::OutputSum> sums_;  // DLCL's, of each layer and the head; else none
  std::unique_ptr<Head> head_;
};

}  // namespace mixln::worker::trainer::model
