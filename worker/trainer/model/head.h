#pragma once

#include <ATen/core/Tensor.h>

#include "worker/trainer/norm/norm.h"

namespace mixln::worker::trainer::model {

// The final norm, the output matrix and the cross-entropy, in chunks of rows: never more than one chunk's
// logits exist, and the gradients are computed in the same pass.
class Head {
 public:
  // `weight` [vocab, hidden] in the compute type and its fp32 gradient: the head's own, or the embedding's.
  Head(norm::Norm norm, at::Tensor weight, at::Tensor gradient);

  struct Loss {
    double sum = 0;  // of negative log-likelihoods, in nats
    at::Tensor dx;   // fp32 [rows, hidden]; undefined without a gradient
  };

  // x fp32 [rows, hidden], targets int64 [rows], mask uint8 [rows] or undefined. Where gradient_scale is not
  // 0, adds to the weights' gradients those of gradient_scale·sum, and returns x's.
  Loss Run(const at::Tensor& x, const at::Tensor& targets, const at::Tensor& mask, double gradient_scale);

  // All logits, fp32 [rows, vocab].
  at::Tensor Logits(const at::Tensor& x);

 private:
  norm::Norm norm_;
  at::Tensor weight_;
  at::Tensor gradient_;
};

}  // namespace mixln::worker::trainer::model
