#include "worker/trainer/norm/dlcl.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "worker/trainer/kernels/elementwise.h"
#include "worker/trainer/norm/pre.h"

namespace mixln::worker::trainer::norm {
namespace {

constexpr int64_t kBlock = 4096;  // elements: the sum of a block stays in the first cache

// Calls work(first, count) for each block.
template <typename Work>
void ForEachBlock(int64_t size, Work work) {
  const int64_t blocks = (size + kBlock - 1) / kBlock;
  at::parallel_for(0, blocks, 4, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      work(block * kBlock, std::min(kBlock, size - block * kBlock));
    }
  });
}

}  // namespace

LayerForm DlclForm() {
  LayerForm form = PreForm();
  form.mlp.after = "output_layernorm";
  form.sums_outputs = true;
  return form;
}

OutputSum::OutputSum(at::Tensor weight, at::Tensor gradient)
    : weight_(std::move(weight)), gradient_(std::move(gradient)) {}

at::Tensor OutputSum::Forward(const std::vector<at::Tensor>& outputs) {
  outputs_ = outputs;
  at::Tensor x = at::empty_like(outputs.front());
  float* to = x.data_ptr<float>();
  const float* weight = weight_.const_data_ptr<float>();
  ForEachBlock(x.numel(), [&](int64_t first, int64_t count) {
    kernels::ScaleTo(outputs_[0].const_data_ptr<float>() + first, weight[0], to + first, count);
    for (size_t k = 1; k < outputs_.size(); ++k) {
      kernels::AddTo(to + first, 1.0F, outputs_[k].const_data_ptr<float>() + first, weight[k], to + first,
                     count);
    }
  });
  return x;
}

std::vector<at::Tensor> OutputSum::Backward(const at::Tensor& dx) {
  const int64_t size = dx.numel();
  const float* from = dx.const_data_ptr<float>();
  std::vector<double> dots(static_cast<size_t>((size + kBlock - 1) / kBlock));
  std::vector<at::Tensor> gradients;
  gradients.reserve(outputs_.size());
  for (size_t k = 0; k < outputs_.size(); ++k) {
    at::Tensor& to = gradients.emplace_back(at::empty_like(dx));
    const float weight = weight_.const_data_ptr<float>()[k];
    const float* output = outputs_[k].const_data_ptr<float>();
    ForEachBlock(size, [&](int64_t first, int64_t count) {
      kernels::ScaleTo(from + first, weight, to.data_ptr<float>() + first, count);
      dots[static_cast<size_t>(first / kBlock)] = kernels::Dot(from + first, output + first, count);
    });
    double sum = 0;
    for (const double dot : dots) sum += dot;
    gradient_.data_ptr<float>()[k] += static_cast<float>(sum);
  }
  outputs_.clear();
  return gradients;
}

}  // namespace mixln::worker::trainer::norm
