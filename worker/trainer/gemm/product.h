// Matrix products in blocks over oneDNN's block GEMM, which ATen exports as at::native::cpublas::brgemm:
// x86's bf16 and AMX instructions with fp32 sums, and for fp32 the widest vectors that there are.
//
// The right operand is packed into panels of kPanel columns, so that a block of it is read from the innermost
// caches; it can be packed once and multiplied often. Every element of a result is summed in the same order
// whatever the number of threads. Where the machine has no fast bf16 products, bf16 operands become fp32 as
// they are packed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/trainer/device/device.h"

namespace mixln::worker::trainer::gemm {

using device::Matrix;

// Whether this machine has products of bf16, fast or not.
bool HasBf16();

// What operands of the type are multiplied as here: fp32, or bf16 where that is faster.
at::ScalarType MultipliedAs(at::ScalarType type);

// The tensor as it is multiplied: for products that are not of this file.
at::Tensor Operand(const at::Tensor& tensor);

// The right operand of a product, packed.
class Packed {
 public:
  Packed() = default;
  explicit Packed(const Matrix& right) : Packed(right, MultipliedAs(right.stored.scalar_type())) {}
  // Multiplied as fp32, or as what is stored.
  Packed(const Matrix& right, at::ScalarType multiplied_as);

  at::ScalarType type() const { return type_; }  // what it is multiplied as
  int64_t depth() const { return depth_; }
  int64_t columns() const { return columns_; }
  int64_t words() const { return words_; }
  const uint32_t* Panel(int64_t panel) const;

 private:
  at::ScalarType type_ = at::kFloat;
  int64_t depth_ = 0;
  int64_t columns_ = 0;
  int64_t words_ = 0;  // of a column, see kernels/pack.h
  at::Tensor panels_;
};

// result = left·right; `left`: [rows, right.depth()], rows contiguous, of the type that `right` was, or as it
// is multiplied. `result`: [rows, right.columns()], rows contiguous, fp32 or bf16.
void Multiply(const at::Tensor& left, const Packed& right, const at::Tensor& result);

}  // namespace mixln::worker::trainer::gemm
