#pragma once

#include <ATen/core/Tensor.h>

#include "worker/trainer/device/device.h"
#include "worker/trainer/fsdp/unit.h"
#include "worker/trainer/norm/norm.h"

namespace mixln::worker::trainer::model {

// The final norm, the output matrix and the cross-entropy, in chunks of rows: never more than one chunk's
// logits exist, and the gradients are computed in the same pass.
class Head {
 public:
  // `matrix` [vocab, hidden] of `owner`: the head's own unit, or the embedding's. Gathered before Run and
  // Logits; a gradient is taken before Run with one.
  Head(const device::Device& device, norm::Norm norm, fsdp::Unit& owner, const fsdp::MatrixRange& matrix);

  struct Loss {
    at::Tensor rows;  // fp64 [rows]: their negative log-likelihoods, in nats
    at::Tensor dx;    // fp32 [rows, hidden]; undefined without a gradient

    // Of the rows; waits for the device.
    double Sum() const;
  };

  // x fp32 [rows, hidden], targets int64 [rows], mask uint8 [rows] or undefined. Where gradient_scale is not
  // 0, adds to the weights' gradients those of gradient_scale·sum, and returns x's.
  Loss Run(const at::Tensor& x, const at::Tensor& targets, const at::Tensor& mask, double gradient_scale);

  // All logits, fp32 [rows, vocab].
  at::Tensor Logits(const at::Tensor& x);

 private:
  const device::Device* device_;
  norm::Norm norm_;
  fsdp::Unit* owner_;
  fsdp::MatrixRange matrix_;
};

}  // namespace mixln::worker::trainer::model
