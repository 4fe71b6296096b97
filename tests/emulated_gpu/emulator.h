#pragma once

#include <cmath>
#include <cstddef>
#include <functional>

// As much of CUDA as the kernels use, on the host: the threads of a block are fibers, which switch at
// barriers and shuffles, in a new random order each time, so that a missing barrier shows as a wrong result.
// Blocks run one after another. All threads of a block must reach the same barrier or shuffle; else the
// program aborts.
#define __global__
#define __device__
#define __host__
#define __shared__ static

struct CUstream_st;
using cudaError_t = int;
inline constexpr cudaError_t cudaSuccess = 0;

struct dim3 {
  // Implicit, as CUDA's.
  dim3(unsigned x_size = 1, unsigned y_size = 1, unsigned z_size = 1) : x(x_size), y(y_size), z(z_size) {}
  unsigned x;
  unsigned y;
  unsigned z;
};

extern dim3 blockIdx;
extern dim3 gridDim;
extern dim3 threadIdx;

cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaMallocManaged(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaDeviceSynchronize();

namespace emulator {

void Run(dim3 blocks, unsigned threads, const std::function<void()>& kernel);

// Waits for all threads of the block, which must wait at the same kind of place.
enum class Place { kBarrier, kShuffle };
void Wait(Place place);
// This thread's place in a table of the block's shuffled values, and another's.
double& Slot(unsigned thread);

}  // namespace emulator

inline void __syncthreads() {
  emulator::Wait(emulator::Place::kBarrier);
}

template <typename T>
T __shfl_xor_sync(unsigned /*mask*/, T value, int lanes) {
  const unsigned self = threadIdx.x;
  emulator::Slot(self) = static_cast<double>(value);
  emulator::Wait(emulator::Place::kShuffle);
  const T other = static_cast<T>(emulator::Slot(self ^ static_cast<unsigned>(lanes)));
  emulator::Wait(emulator::Place::kShuffle);
  return other;
}
