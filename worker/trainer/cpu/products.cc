#include <memory>

#include "worker/trainer/cpu/operations.h"
#include "worker/trainer/gemm/product.h"

namespace mixln::worker::trainer::cpu {
namespace {

const gemm::Packed& PackedOf(const device::Factor& factor) {
  return *static_cast<const gemm::Packed*>(factor.prepared.get());
}

}  // namespace

device::Factor Prepare(const device::Matrix& right) {
  return {right, std::make_shared<gemm::Packed>(right)};
}

void Multiply(const at::Tensor& left, const device::Factor& right, const at::Tensor& result) {
  gemm::Multiply(left, PackedOf(right), result);
}

}  // namespace mixln::worker::trainer::cpu
