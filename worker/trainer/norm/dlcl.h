#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "worker/trainer/device/device.h"
#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::norm {

// Dynamic linear combination of layers, a placement of the whole model (Wang et al. 2019, arXiv 1906.01787,
// section 3). Layers are Pre-LN blocks; the input of layer l + 1, of L, is Σ_{k≤l} W_{l,k}·N_k(y_k), where
// y_k is the output of layer k, y₀ the embedding with N₀ the identity, and N_k is shared by all l; so is the
// input of the final norm, with l = L. Row l of W starts as 1/(l + 1), norm weights as 1, matrices as N(0,
// init_std).
//
// Each layer ends with its N_k, which makes its form C(x + f(A(x))); the sums stand between the layers.
LayerForm DlclForm();

// A learned sum over outputs: x = Σ_k weight_k·output_k. It keeps what the backward pass needs from a forward
// pass until then.
class OutputSum {
 public:
  // Row l of W and its gradient, fp32 [l + 1].
  OutputSum(const device::Device& device, at::Tensor weight, at::Tensor gradient);

  // l + 1 outputs, fp32 of one shape, contiguous.
  at::Tensor Forward(const std::vector<at::Tensor>& outputs);

  // The gradients with respect to the outputs; adds the weight's.
  std::vector<at::Tensor> Backward(const at::Tensor& dx);

 private:
  const device::Device* device_;
  at::Tensor weight_;
  at::Tensor gradient_;
  std::vector<at::Tensor> outputs_;
};

}  // namespace mixln::worker::trainer::norm
