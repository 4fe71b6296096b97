#pragma once

#include <ATen/core/Tensor.h>

#include "worker/trainer/kernels/bf16.h"

// Tensors as the kernels take them.
namespace mixln::worker::trainer::cuda {

// Calls `work` with an element of the kernels' type for a tensor in fp32 or bf16.
template <typename Work>
void WithElement(const at::Tensor& tensor, Work work) {
  if (tensor.scalar_type() == at::kBFloat16) {
    work(kernels::Bf16{});
  } else {
    work(float{});
  }
}

// The tensor's memory on the device; null where it is undefined.
template <typename T>
T* Data(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(const_cast<void*>(tensor.const_data_ptr())) : nullptr;
}

}  // namespace mixln::worker::trainer::cuda
