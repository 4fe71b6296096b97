#pragma once

// What the kernels of this folder share. Their files are compiled by nvcc for GPUs and, in unit tests, by the
// host's compiler over an emulator of CUDA's threads.
#ifdef __CUDACC__
#include <cuda_runtime.h>
#else
#include "emulator.h"
#endif

#include <cstdint>
#include <stdexcept>
#include <string>

#include "worker/trainer/cuda/kernels.h"

namespace mixln::worker::trainer::cuda {

inline constexpr unsigned kThreads = 256;  // of a block
inline constexpr unsigned kWarp = 32;

// Throws what the device says went wrong `doing` something.
inline void Check(cudaError_t error, const char* doing) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string("the GPU failed ") + doing + ": " + cudaGetErrorString(error));
}

// Starts blocks of kThreads threads.
template <typename... Parameters, typename... Arguments>
void Launch(void (*kernel)(Parameters...), dim3 blocks, Stream stream, Arguments... arguments) {
#ifdef __CUDACC__
  kernel<<<blocks, kThreads, 0, stream>>>(static_cast<Parameters>(arguments)...);
#else
  static_cast<void>(stream);
  emulator::Run(blocks, kThreads, [&] { kernel(static_cast<Parameters>(arguments)...); });
#endif
  Check(cudaGetLastError(), "to start a kernel");
}

// Blocks of kThreads that cover `count` elements, or walk over them in strides where they are many.
inline unsigned BlocksFor(int64_t count) {
  constexpr int64_t kMost = 4096;
  const int64_t blocks = (count + kThreads - 1) / kThreads;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks > kMost ? kMost : blocks);
}

__device__ inline int64_t FirstElement() {
  return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}
__device__ inline int64_t ElementStride() {
  return static_cast<int64_t>(gridDim.x) * kThreads;
}

// The kThreads values of a block combined in a fixed order; every thread gets the result, and all must call
// it.
template <typename T, typename Combine>
__device__ inline T BlockReduce(T value, Combine combine) {
  __shared__ T warps[kThreads / kWarp];
  for (unsigned lane = kWarp / 2; lane > 0; lane /= 2) {
    value = combine(value, __shfl_xor_sync(0xFFFFFFFFU, value, static_cast<int>(lane)));
  }
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = value;
  __syncthreads();
  T result = warps[0];
  for (unsigned warp = 1; warp < kThreads / kWarp; ++warp) result = combine(result, warps[warp]);
  __syncthreads();  // the next call writes where this one reads
  return result;
}

struct Sum {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Max {
  __device__ float operator()(float a, float b) const { return a > b ? a : b; }
};

}  // namespace mixln::worker::trainer::cuda
