#include "worker/trainer/cuda/kernels.h"
#include "worker/trainer/cuda/launch.h"

namespace mixln::worker::trainer::cuda {

bool HasDevice() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess && count > 0) return true;
  cudaGetLastError();  // a missing driver is no error of the next call
  return false;
}

void* AllocateShared(size_t bytes) {
  void* memory = nullptr;
  Check(cudaMallocManaged(&memory, bytes), "to allocate memory");
  return memory;
}

void FreeShared(void* memory) {
  Check(cudaFree(memory), "to free memory");
}

void Synchronize() {
  Check(cudaDeviceSynchronize(), "in a kernel");
}

}  // namespace mixln::worker::trainer::cuda
