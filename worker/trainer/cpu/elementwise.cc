#include "worker/trainer/kernels/elementwise.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "worker/trainer/cpu/operations.h"
#include "worker/trainer/cpu/row_sum.h"
#include "worker/trainer/gemm/element.h"

namespace mixln::worker::trainer::cpu {
namespace {

using gemm::Data;
using kernels::Bf16;

constexpr int64_t kElements = 16384;  // of a thread at least
constexpr int64_t kBlock = 4096;      // elements: a block of a sum stays in the first cache

// Calls work(first, count) for each block.
template <typename Work>
void ForEachBlock(int64_t size, int64_t at_least, Work work) {
  const int64_t blocks = (size + kBlock - 1) / kBlock;
  at::parallel_for(0, blocks, at_least, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      work(block * kBlock, std::min(kBlock, size - block * kBlock));
    }
  });
}

}  // namespace

void Scale(const at::Tensor& from, double scale, const at::Tensor& to) {
  const auto factor = static_cast<float>(scale);
  at::parallel_for(0, from.numel(), kElements, [&](int64_t begin, int64_t end) {
    const int64_t count = end - begin;
    if (from.scalar_type() == at::kBFloat16) {
      kernels::ScaleTo(Data<Bf16>(from) + begin, factor, Data<float>(to) + begin, count);
    } else if (to.scalar_type() == at::kBFloat16) {
      kernels::ScaleTo(Data<float>(from) + begin, factor, Data<Bf16>(to) + begin, count);
    } else {
      kernels::ScaleTo(Data<float>(from) + begin, factor, Data<float>(to) + begin, count);
    }
  });
}

void Add(const at::Tensor& x, double a, const at::Tensor& y, double b, const at::Tensor& to) {
  const auto x_factor = static_cast<float>(a);
  const auto y_factor = static_cast<float>(b);
  at::parallel_for(0, x.numel(), kElements, [&](int64_t begin, int64_t end) {
    gemm::WithElement(y.scalar_type(), [&](auto element) {
      using Y = decltype(element);
      kernels::AddTo(Data<float>(x) + begin, x_factor, Data<Y>(y) + begin, y_factor, Data<float>(to) + begin,
                     end - begin);
    });
  });
}

void ScaleChannels(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& to) {
  at::parallel_for(0, x.size(0), kBlockRows, [&](int64_t begin, int64_t end) {
    kernels::ScaleChannels(x.const_data_ptr<float>(), weight.const_data_ptr<float>(), to.data_ptr<float>(),
                           x.size(1), begin, end);
  });
}

void ScaleChannelsBackward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& dy,
                           const at::Tensor& dx, const at::Tensor& weight_gradient) {
  AddSumOfRows(x.size(0), weight_gradient, [&](int64_t first, int64_t last, float* sums) {
    kernels::ScaleChannelsBackward(x.const_data_ptr<float>(), weight.const_data_ptr<float>(),
                                   dy.const_data_ptr<float>(), dx.data_ptr<float>(), sums, x.size(1), first,
                                   last);
  });
}

void SumOutputs(const std::vector<at::Tensor>& outputs, const at::Tensor& weight, const at::Tensor& to) {
  float* sum = to.data_ptr<float>();
  const float* factors = weight.const_data_ptr<float>();
  ForEachBlock(to.numel(), 4, [&](int64_t first, int64_t count) {
    kernels::ScaleTo(outputs[0].const_data_ptr<float>() + first, factors[0], sum + first, count);
    for (size_t k = 1; k < outputs.size(); ++k) {
      kernels::AddTo(sum + first, 1.0F, outputs[k].const_data_ptr<float>() + first, factors[k], sum + first,
                     count);
    }
  });
}

void SumOutputsBackward(const at::Tensor& dx, const std::vector<at::Tensor>& outputs,
                        const at::Tensor& weight, const std::vector<at::Tensor>& doutputs,
                        const at::Tensor& weight_gradient) {
  const int64_t size = dx.numel();
  const float* from = dx.const_data_ptr<float>();
  std::vector<double> dots(static_cast<size_t>((size + kBlock - 1) / kBlock));
  for (size_t k = 0; k < outputs.size(); ++k) {
    const float factor = weight.const_data_ptr<float>()[k];
    const float* output = outputs[k].const_data_ptr<float>();
    ForEachBlock(size, 4, [&](int64_t first, int64_t count) {
      kernels::ScaleTo(from + first, factor, doutputs[k].data_ptr<float>() + first, count);
      dots[static_cast<size_t>(first / kBlock)] = kernels::Dot(from + first, output + first, count);
    });
    double sum = 0;
    for (const double dot : dots) sum += dot;
    weight_gradient.data_ptr<float>()[k] += static_cast<float>(sum);
  }
}

device::Sums SumsOf(const at::Tensor& x) {
  constexpr int64_t kLongBlock = 65536;  // elements
  const int64_t size = x.numel();
  const float* values = x.const_data_ptr<float>();
  std::vector<device::Sums> blocks(static_cast<size_t>((size + kLongBlock - 1) / kLongBlock));
  at::parallel_for(0, static_cast<int64_t>(blocks.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      device::Sums& sums = blocks[static_cast<size_t>(block)];
      for (int64_t i = block * kLongBlock; i < std::min(size, (block + 1) * kLongBlock); ++i) {
        sums.sum += values[i];
        sums.squares += static_cast<double>(values[i]) * values[i];
      }
    }
  });
  device::Sums all;
  for (const device::Sums& sums : blocks) {
    all.sum += sums.sum;
    all.squares += sums.squares;
  }
  return all;
}

void AddInOrder(const at::Tensor& to, const std::vector<at::Tensor>& parts) {
  float* sum = to.data_ptr<float>();
  ForEachBlock(to.numel(), 8, [&](int64_t first, int64_t count) {
    for (const at::Tensor& part : parts) {
      kernels::AddTo(sum + first, 1.0F, part.const_data_ptr<float>() + first, 1.0F, sum + first, count);
    }
  });
}

}  // namespace mixln::worker::trainer::cpu
