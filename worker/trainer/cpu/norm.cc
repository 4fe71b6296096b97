#include "worker/trainer/cpu/operations.h"
#include "worker/trainer/cpu/row_sum.h"
#include "worker/trainer/gemm/element.h"
#include "worker/trainer/kernels/rms_norm.h"

namespace mixln::worker::trainer::cpu {

using gemm::Data;
using kernels::Bf16;

void Norm(const device::NormForward& norm) {
  const at::Tensor& branch = norm.branch;
  const at::ScalarType type = norm.y.scalar_type();
  kernels::RmsNormForward kernel;
  kernel.x = norm.x.const_data_ptr<float>();
  kernel.stream_scale = static_cast<float>(norm.stream_scale);
  kernel.weight = norm.weight.const_data_ptr<float>();
  kernel.scale = static_cast<float>(norm.scale);
  kernel.eps = static_cast<float>(norm.eps);
  kernel.centered = norm.centered;
  kernel.columns = norm.x.size(1) / norm.groups;
  kernel.weight_rows = norm.groups;
  kernel.sum = norm.sum.defined() ? norm.sum.data_ptr<float>() : nullptr;
  kernel.inverse_rms = norm.inverse_rms.data_ptr<float>();
  at::parallel_for(
      0, norm.x.size(0) * norm.groups, kBlockRows * norm.groups, [&](int64_t begin, int64_t end) {
        if (branch.defined() && branch.scalar_type() == at::kBFloat16) {
          if (type == at::kBFloat16) {
            kernels::NormRows(kernel, Data<Bf16>(branch), Data<Bf16>(norm.y), begin, end);
          } else {
            kernels::NormRows(kernel, Data<Bf16>(branch), Data<float>(norm.y), begin, end);
          }
        } else if (type == at::kBFloat16) {
          kernels::NormRows(kernel, static_cast<const Bf16*>(nullptr), Data<Bf16>(norm.y), begin, end);
        } else {
          kernels::NormRows(kernel, branch.defined() ? Data<float>(branch) : nullptr, Data<float>(norm.y),
                            begin, end);
        }
      });
}

void NormBackward(const device::NormBackward& norm) {
  kernels::RmsNormBackward kernel;
  kernel.x = norm.input.const_data_ptr<float>();
  kernel.inverse_rms = norm.inverse_rms.const_data_ptr<float>();
  kernel.weight = norm.weight.const_data_ptr<float>();
  kernel.scale = static_cast<float>(norm.scale);
  kernel.centered = norm.centered;
  kernel.residual = norm.residual.defined() ? norm.residual.const_data_ptr<float>() : nullptr;
  kernel.residual_scale = static_cast<float>(norm.residual_scale);
  kernel.columns = norm.dy.size(1) / norm.groups;
  kernel.weight_rows = norm.groups;
  kernel.dx = norm.dx.data_ptr<float>();
  AddSumOfRows(norm.dy.size(0), norm.weight_gradient, [&](int64_t first, int64_t last, float* sums) {
    gemm::WithElement(norm.dy.scalar_type(), [&](auto element) {
      using T = decltype(element);
      kernels::NormRowsBackward(kernel, static_cast<const T*>(norm.dy.const_data_ptr()), sums,
                                first * norm.groups, last * norm.groups);
    });
  });
}

}  // namespace mixln::worker::trainer::cpu
