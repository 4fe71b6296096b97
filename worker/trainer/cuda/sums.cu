#include "worker/trainer/cuda/kernels.h"
#include "worker/trainer/cuda/launch.h"

namespace mixln::worker::trainer::cuda {
namespace {

constexpr int64_t kSumBlock = 16 * kThreads;  // elements that one block sums

__global__ void DotKernel(const float* x, const float* y, int64_t count, double* partial) {
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kSumBlock;
  const int64_t end = begin + kSumBlock < count ? begin + kSumBlock : count;
  double share = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    share += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  }
  const double sum = BlockReduce(share, Sum());
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// One block.
__device__ double AddUp(const double* partial, int64_t count) {
  double share = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) share += partial[i];
  return BlockReduce(share, Sum());
}

__global__ void AddUpKernel(const double* partial, int64_t count, double* sum) {
  const double total = AddUp(partial, count);
  if (threadIdx.x == 0) *sum = total;
}

__global__ void AddToSumKernel(const double* partial, int64_t count, float* sum) {
  const double total = AddUp(partial, count);
  if (threadIdx.x == 0) *sum += static_cast<float>(total);
}

void Dot(Stream stream, const float* x, const float* y, int64_t count, double* partial) {
  const int64_t blocks = SumScratch(count);
  if (blocks > 0) Launch(DotKernel, static_cast<unsigned>(blocks), stream, x, y, count, partial);
}

}  // namespace

int64_t SumScratch(int64_t count) {
  return (count + kSumBlock - 1) / kSumBlock;
}

void SumOfSquares(Stream stream, const float* x, int64_t count, double* partial, double* sum) {
  Dot(stream, x, x, count, partial);
  Launch(AddUpKernel, 1U, stream, partial, SumScratch(count), sum);
}

void AddDot(Stream stream, const float* x, const float* y, int64_t count, double* partial, float* sum) {
  Dot(stream, x, y, count, partial);
  Launch(AddToSumKernel, 1U, stream, partial, SumScratch(count), sum);
}

}  // namespace mixln::worker::trainer::cuda
