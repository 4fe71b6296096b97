#include "worker/trainer/norm/rms_norm.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "worker/trainer/kernels/rms_norm.h"

namespace mixln::worker::trainer::norm {
namespace {

constexpr int64_t kRows = 64;  // in a block

const kernels::Bf16* Bf16Of(const at::Tensor& tensor) {
  return static_cast<const kernels::Bf16*>(tensor.const_data_ptr());
}

}  // namespace

at::Tensor RmsNorm(const RmsNormParameter& parameter, double eps, double scale, const at::Tensor& x,
                   double stream_scale, const at::Tensor& branch, at::ScalarType type, RmsNormSaved* saved) {
  const int64_t rows = x.size(0);
  at::Tensor y = at::empty({rows, x.size(1)}, x.options().dtype(type));
  saved->input = branch.defined() ? at::empty_like(x) : x;
  saved->inverse_rms = at::empty({rows}, x.options());
  kernels::RmsNormForward norm;
  norm.x = x.const_data_ptr<float>();
  norm.stream_scale = static_cast<float>(stream_scale);
  norm.weight = parameter.weight.const_data_ptr<float>();
  norm.scale = static_cast<float>(scale);
  norm.eps = static_cast<float>(eps);
  norm.columns = x.size(1);
  norm.sum = branch.defined() ? saved->input.data_ptr<float>() : nullptr;
  norm.inverse_rms = saved->inverse_rms.data_ptr<float>();
  at::parallel_for(0, rows, kRows, [&](int64_t begin, int64_t end) {
    if (branch.defined() && branch.scalar_type() == at::kBFloat16) {
      if (type == at::kBFloat16) {
        kernels::NormRows(norm, Bf16Of(branch), static_cast<kernels::Bf16*>(y.data_ptr()), begin, end);
      } else {
        kernels::NormRows(norm, Bf16Of(branch), y.data_ptr<float>(), begin, end);
      }
    } else if (type == at::kBFloat16) {
      kernels::NormRows(norm, static_cast<const kernels::Bf16*>(nullptr),
                        static_cast<kernels::Bf16*>(y.data_ptr()), begin, end);
    } else {
      kernels::NormRows(norm, branch.defined() ? branch.const_data_ptr<float>() : nullptr,
                        y.data_ptr<float>(), begin, end);
    }
  });
  return y;
}

at::Tensor RmsNormBackward(const RmsNormParameter& parameter, double scale, const RmsNormSaved& saved,
                           const at::Tensor& dy, const at::Tensor& residual, double residual_scale) {
  const int64_t rows = dy.size(0);
  const int64_t columns = dy.size(1);
  const int64_t blocks = (rows + kRows - 1) / kRows;
  at::Tensor dx = at::empty_like(saved.input);
  at::Tensor partial = at::zeros({blocks, columns}, saved.input.options());
  kernels::RmsNormBackward norm;
  norm.x = saved.input.const_data_ptr<float>();
  norm.inverse_rms = saved.inverse_rms.const_data_ptr<float>();
  norm.weight = parameter.weight.const_data_ptr<float>();
  norm.scale = static_cast<float>(scale);
  norm.residual = residual.defined() ? residual.const_data_ptr<float>() : nullptr;
  norm.residual_scale = static_cast<float>(residual_scale);
  norm.columns = columns;
  norm.dx = dx.data_ptr<float>();
  float* sums = partial.data_ptr<float>();
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kRows;
      const int64_t last = std::min(rows, first + kRows);
      if (dy.scalar_type() == at::kBFloat16) {
        kernels::NormRowsBackward(norm, Bf16Of(dy), sums + block * columns, first, last);
      } else {
        kernels::NormRowsBackward(norm, dy.const_data_ptr<float>(), sums + block * columns, first, last);
      }
    }
  });
  float* gradient = parameter.gradient.data_ptr<float>();
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t column = 0; column < columns; ++column) gradient[column] += sums[block * columns + column];
  }
  return dx;
}

}  // namespace mixln::worker::trainer::norm
