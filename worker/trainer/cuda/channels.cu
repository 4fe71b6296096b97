#include "worker/trainer/cuda/kernels.h"
#include "worker/trainer/cuda/launch.h"

namespace mixln::worker::trainer::cuda {
namespace {

constexpr int64_t kParts = 64;  // of the rows, whose shares of the weight's gradient are summed apart

__global__ void ScaleKernel(const float* x, const float* weight, float* to, int64_t columns, int64_t count) {
  for (int64_t i = FirstElement(); i < count; i += ElementStride()) to[i] = weight[i % columns] * x[i];
}

// A thread is a column (x) in a part of the rows (y).
__global__ void SharesKernel(const float* x, const float* dy, float* partial, int64_t columns, int64_t rows) {
  const int64_t column = FirstElement();
  if (column >= columns) return;
  float share = 0;
  for (int64_t row = blockIdx.y; row < rows; row += kParts) {
    share += x[row * columns + column] * dy[row * columns + column];
  }
  partial[blockIdx.y * columns + column] = share;
}

__global__ void AddSharesKernel(const float* partial, float* gradient, int64_t columns) {
  for (int64_t c = FirstElement(); c < columns; c += ElementStride()) {
    float sum = 0;
    for (int64_t part = 0; part < kParts; ++part) sum += partial[part * columns + c];
    gradient[c] += sum;
  }
}

__global__ void WeightedKernel(const float* from, const float* weight, bool add, float* to, int64_t count) {
  const float w = *weight;
  for (int64_t i = FirstElement(); i < count; i += ElementStride())
    to[i] = add ? to[i] + w * from[i] : w * from[i];
}

}  // namespace

int64_t ChannelScratch(int64_t columns) {
  return kParts * columns;
}

void ScaleChannels(Stream stream, const float* x, const float* weight, float* to, int64_t columns,
                   int64_t rows) {
  Launch(ScaleKernel, BlocksFor(rows * columns), stream, x, weight, to, columns, rows * columns);
}

void ScaleChannelsBackward(Stream stream, const float* x, const float* weight, const float* dy, float* dx,
                           float* weight_gradient, float* partial, int64_t columns, int64_t rows) {
  const dim3 tiles(static_cast<unsigned>((columns + kThreads - 1) / kThreads), static_cast<unsigned>(kParts));
  Launch(SharesKernel, tiles, stream, x, dy, partial, columns, rows);
  Launch(AddSharesKernel, BlocksFor(columns), stream, partial, weight_gradient, columns);
  ScaleChannels(stream, dy, weight, dx, columns, rows);
}

void AddWeighted(Stream stream, const float* from, const float* weight, bool add, float* to, int64_t count) {
  Launch(WeightedKernel, BlocksFor(count), stream, from, weight, add, to, count);
}

}  // namespace mixln::worker::trainer::cuda
