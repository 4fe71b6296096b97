#pragma once

#include <ATen/core/Tensor.h>

#include "worker/trainer/kernels/bf16.h"

// Tensors as the kernels take them.
namespace mixln::worker::trainer::gemm {

// Calls `work` with an element of the kernels' type for fp32 or bf16.
template <typename Work>
void WithElement(at::ScalarType type, Work work) {
  if (type == at::kBFloat16) {
    work(kernels::Bf16{});
  } else {
    work(float{});
  }
}

// The tensor's elements as the kernels' type.
template <typename T>
T* Data(const at::Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}

}  // namespace mixln::worker::trainer::gemm
