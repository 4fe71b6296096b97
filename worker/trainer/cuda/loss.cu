#include <cmath>

#include "worker/trainer/cuda/kernels.h"
#include "worker/trainer/cuda/launch.h"

namespace mixln::worker::trainer::cuda {
namespace {

using kernels::Load;
using kernels::Store;

// A block is a row.
template <typename T>
__global__ void CrossEntropyKernel(T* logits, const int64_t* targets, const uint8_t* mask,
                                   float gradient_scale, double* loss, int64_t columns) {
  const int64_t row = blockIdx.x;
  T* z = logits + row * columns;
  if (mask != nullptr && mask[row] == 0) {
    if (threadIdx.x == 0) loss[row] = 0;
    if (gradient_scale == 0) return;
    for (int64_t c = threadIdx.x; c < columns; c += kThreads) Store(0.0F, z + c);
    return;
  }
  float largest = -INFINITY;
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) largest = fmaxf(largest, Load(z + c));
  const float max = BlockReduce(largest, Max());
  double share = 0;
  for (int64_t c = threadIdx.x; c < columns; c += kThreads)
    share += static_cast<double>(expf(Load(z + c) - max));
  const float target = Load(z + targets[row]) - max;  // before the sum's barrier: the gradient overwrites it
  const double sum = BlockReduce(share, Sum());
  if (threadIdx.x == 0) loss[row] = log(sum) - static_cast<double>(target);
  if (gradient_scale == 0) return;
  const float factor = static_cast<float>(static_cast<double>(gradient_scale) / sum);
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) {
    const float gradient = expf(Load(z + c) - max) * factor;
    Store(c == targets[row] ? gradient - gradient_scale : gradient, z + c);
  }
}

}  // namespace

template <typename T>
void CrossEntropy(Stream stream, T* logits, const int64_t* targets, const uint8_t* mask, float gradient_scale,
                  double* loss, int64_t columns, int64_t rows) {
  if (rows == 0) return;
  Launch(CrossEntropyKernel<T>, static_cast<unsigned>(rows), stream, logits, targets, mask, gradient_scale,
         loss, columns);
}
template void CrossEntropy(Stream, float*, const int64_t*, const uint8_t*, float, double*, int64_t, int64_t);
template void CrossEntropy(Stream, Bf16*, const int64_t*, const uint8_t*, float, double*, int64_t, int64_t);

}  // namespace mixln::worker::trainer::cuda
