#include "worker/trainer/norm/omega.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include "worker/trainer/kernels/elementwise.h"
#include "worker/trainer/norm/row_sum.h"

namespace mixln::worker::trainer::norm {

at::Tensor ScaleStream(const Omega& omega, const at::Tensor& x) {
  at::Tensor y = at::empty_like(x);
  at::parallel_for(0, x.size(0), kBlockRows, [&](int64_t begin, int64_t end) {
    kernels::ScaleChannels(x.const_data_ptr<float>(), omega.weight.const_data_ptr<float>(),
                           y.data_ptr<float>(), x.size(1), begin, end);
  });
  return y;
}

at::Tensor ScaleStreamBackward(const Omega& omega, const at::Tensor& x, const at::Tensor& dy) {
  at::Tensor dx = at::empty_like(x);
  AddSumOfRows(x.size(0), omega.gradient, [&](int64_t first, int64_t last, float* sums) {
    kernels::ScaleChannelsBackward(x.const_data_ptr<float>(), omega.weight.const_data_ptr<float>(),
                                   dy.const_data_ptr<float>(), dx.data_ptr<float>(), sums, x.size(1), first,
                                   last);
  });
  return dx;
}

}  // namespace mixln::worker::trainer::norm
