#include "worker/trainer/norm/norm.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include "worker/trainer/kernels/rms_norm.h"
#include "worker/trainer/norm/row_sum.h"

namespace mixln::worker::trainer::norm {
namespace {

const kernels::Bf16* Bf16Of(const at::Tensor& tensor) {
  return static_cast<const kernels::Bf16*>(tensor.const_data_ptr());
}

}  // namespace

at::Tensor Normalize(const Norm& norm, double scale, const at::Tensor& x, double stream_scale,
                     const at::Tensor& branch, at::ScalarType type, NormSaved* saved) {
  const int64_t rows = x.size(0) * norm.groups;
  const bool centered = norm.kind == Kind::kLayer;
  at::Tensor y = at::empty(x.sizes(), x.options().dtype(type));
  saved->input = branch.defined() || centered ? at::empty_like(x) : x;
  saved->inverse_rms = at::empty({x.size(0), norm.groups}, x.options());
  kernels::RmsNormForward kernel;
  kernel.x = x.const_data_ptr<float>();
  kernel.stream_scale = static_cast<float>(stream_scale);
  kernel.weight = norm.weight.const_data_ptr<float>();
  kernel.scale = static_cast<float>(scale);
  kernel.eps = static_cast<float>(norm.eps);
  kernel.centered = centered;
  kernel.columns = x.size(1) / norm.groups;
  kernel.weight_rows = norm.groups;
  kernel.sum = branch.defined() || centered ? saved->input.data_ptr<float>() : nullptr;
  kernel.inverse_rms = saved->inverse_rms.data_ptr<float>();
  at::parallel_for(0, rows, kBlockRows * norm.groups, [&](int64_t begin, int64_t end) {
    if (branch.defined() && branch.scalar_type() == at::kBFloat16) {
      if (type == at::kBFloat16) {
        kernels::NormRows(kernel, Bf16Of(branch), static_cast<kernels::Bf16*>(y.data_ptr()), begin, end);
      } else {
        kernels::NormRows(kernel, Bf16Of(branch), y.data_ptr<float>(), begin, end);
      }
    } else if (type == at::kBFloat16) {
      kernels::NormRows(kernel, static_cast<const kernels::Bf16*>(nullptr),
                        static_cast<kernels::Bf16*>(y.data_ptr()), begin, end);
    } else {
      kernels::NormRows(kernel, branch.defined() ? branch.const_data_ptr<float>() : nullptr,
                        y.data_ptr<float>(), begin, end);
    }
  });
  return y;
}

at::Tensor NormalizeBackward(const Norm& norm, double scale, const NormSaved& saved, const at::Tensor& dy,
                             const at::Tensor& residual, double residual_scale) {
  at::Tensor dx = at::empty_like(saved.input);
  kernels::RmsNormBackward kernel;
  kernel.x = saved.input.const_data_ptr<float>();
  kernel.inverse_rms = saved.inverse_rms.const_data_ptr<float>();
  kernel.weight = norm.weight.const_data_ptr<float>();
  kernel.scale = static_cast<float>(scale);
  kernel.centered = norm.kind == Kind::kLayer;
  kernel.residual = residual.defined() ? residual.const_data_ptr<float>() : nullptr;
  kernel.residual_scale = static_cast<float>(residual_scale);
  kernel.columns = dy.size(1) / norm.groups;
  kernel.weight_rows = norm.groups;
  kernel.dx = dx.data_ptr<float>();
  AddSumOfRows(dy.size(0), norm.gradient, [&](int64_t first, int64_t last, float* sums) {
    if (dy.scalar_type() == at::kBFloat16) {
      kernels::NormRowsBackward(kernel, Bf16Of(dy), sums, first * norm.groups, last * norm.groups);
    } else {
      kernels::NormRowsBackward(kernel, dy.const_data_ptr<float>(), sums, first * norm.groups,
                                last * norm.groups);
    }
  });
  return dx;
}

}  // namespace mixln::worker::trainer::norm
