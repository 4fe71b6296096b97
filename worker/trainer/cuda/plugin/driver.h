// What the plugin asks of CUDA's and LibTorch's own libraries. driver.cc asks them; tests put the host in
// their place, so that everything else of the plugin runs without a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "worker/trainer/cuda/kernels.h"
#include "worker/trainer/device/device.h"

namespace mixln::worker::trainer::cuda {

// What there is to compute on.
struct Machine {
  int gpus = 0;
  std::string problem;  // why there are none, for people; empty: no GPU is there
};
Machine FindGpus();

struct Gpu {
  std::string model;
  int major = 0;  // of its compute capability
  int minor = 0;
  int64_t peak_size = 8192;  // device::Device's
};
Gpu Describe(int gpu);

// Makes the GPU this process's own, and LibTorch's kernels deterministic or not. Returns where tensors lie.
at::Device Use(int gpu, bool deterministic);

// Where kernels are started; those of LibTorch too.
Stream CurrentStream();
int64_t AvailableBytes();
int64_t PeakBytes();

// C = A·B, or C += A·B, in BLAS's columns: A [m, k], B [k, n] and C [m, n] lie column behind column,
// `lead` elements from one to the next; with `transposed` the transpose lies there. fp32 sums.
struct Gemm {
  struct Operand {
    const void* data = nullptr;
    int64_t lead = 0;
    bool transposed = false;
  };
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  Operand a;
  Operand b;
  void* c = nullptr;
  int64_t c_lead = 0;
  at::ScalarType operands = at::kFloat;  // fp32 or bf16
  at::ScalarType result = at::kFloat;
  bool add = false;
};
void Multiply(const Gemm& gemm);

// LibTorch's attention on tensor cores: bf16 heads of a multiple of 8 elements, at most 256. Queries, keys
// and values are [batch, heads, time, head_size], in any strides but the last.
struct Heads {
  at::Tensor queries;
  at::Tensor keys;
  at::Tensor values;
};
struct Flash {
  at::Tensor output;  // as the queries
  at::Tensor lse;
  std::vector<at::Tensor> more;  // for the backward pass
};
Flash FlashAttention(const Heads& heads);
Heads FlashAttentionBackward(const Heads& heads, const Flash& flash, const at::Tensor& doutput);

// NCCL.
c10::intrusive_ptr<c10d::Backend> Join(const device::Meeting& meeting);

}  // namespace mixln::worker::trainer::cuda
