// How much a layer's output varies: for x [tokens, hidden], the variance over the channels of each token,
// averaged over the tokens that count. Pre-LN lets it grow with depth (LayerNorm Scaling, arXiv 2502.05795).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace mixln::worker::trainer::diagnostics {

class ActivationVariance {
 public:
  // Takes in one micro-batch's output of layer `layer`, counted from 0. `mask` is uint8 [tokens], 1 where a
  // token counts; undefined: all count.
  void Add(size_t layer, const at::Tensor& x, const at::Tensor& mask);

  // Of each layer that was added to, over all its tokens.
  std::vector<double> Mean() const;

 private:
  struct Sum {
    double variances = 0;
    int64_t tokens = 0;
  };
  std::vector<Sum> layers_;
};

}  // namespace mixln::worker::trainer::diagnostics
