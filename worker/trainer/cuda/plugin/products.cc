#include "worker/trainer/cuda/plugin/driver.h"
#include "worker/trainer/cuda/plugin/operations.h"

namespace mixln::worker::trainer::cuda::entries {
namespace {

// A matrix whose rows are contiguous is, in BLAS's columns, its transpose: so result = left·right is computed
// as resultᵀ = rightᵀ·leftᵀ.
Gemm::Operand Transpose(const device::Matrix& matrix) {
  return {matrix.stored.const_data_ptr(), matrix.stored.stride(0), matrix.transposed};
}

void Run(const device::Matrix& left, const device::Matrix& right, const at::Tensor& result, bool add) {
  Gemm gemm;
  gemm.m = right.columns();
  gemm.n = left.rows();
  gemm.k = left.columns();
  gemm.a = Transpose(right);
  gemm.b = Transpose(left);
  gemm.c = result.data_ptr();
  gemm.c_lead = result.stride(0);
  gemm.operands = left.stored.scalar_type();
  gemm.result = result.scalar_type();
  gemm.add = add;
  cuda::Multiply(gemm);
}

}  // namespace

void Multiply(const at::Tensor& left, const device::Factor& right, const at::Tensor& result) {
  Run({left}, right.matrix, result, false);
}

void AddWeightGradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& gradient) {
  Run({dy, true}, {x}, gradient, true);
}

}  // namespace mixln::worker::trainer::cuda::entries
