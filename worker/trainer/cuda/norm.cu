#include <cmath>

#include "worker/trainer/cuda/kernels.h"
#include "worker/trainer/cuda/launch.h"

namespace mixln::worker::trainer::cuda {
namespace {

using kernels::Load;
using kernels::RmsNormBackward;
using kernels::RmsNormForward;
using kernels::Store;

constexpr unsigned kParts = 64;  // of the rows, whose shares of the weight's gradient are summed apart

// A block is a row. A thread reads only what it wrote itself, so `sum` needs no barrier.
template <typename Branch, typename Y>
__global__ void ForwardKernel(RmsNormForward norm, const Branch* branch, Y* y) {
  const int64_t row = blockIdx.x;
  const int64_t columns = norm.columns;
  const float* x = norm.x + row * columns;
  float* sum = norm.sum == nullptr ? nullptr : norm.sum + row * columns;
  if (branch != nullptr) {
    for (int64_t c = threadIdx.x; c < columns; c += kThreads) {
      sum[c] = norm.stream_scale * x[c] + Load(branch + row * columns + c);
    }
    x = sum;
  }
  if (norm.centered) {
    float share = 0;
    for (int64_t c = threadIdx.x; c < columns; c += kThreads) share += x[c];
    const float mean = BlockReduce(share, Sum()) / static_cast<float>(columns);
    for (int64_t c = threadIdx.x; c < columns; c += kThreads) sum[c] = x[c] - mean;
    x = sum;
  }
  float share = 0;
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) share += x[c] * x[c];
  const float mean = BlockReduce(share, Sum()) / static_cast<float>(columns);
  const float inverse = 1.0F / sqrtf(mean + norm.eps);
  if (threadIdx.x == 0) norm.inverse_rms[row] = inverse;
  const float factor = inverse * norm.scale;
  const float* weight = norm.weight + row % norm.weight_rows * columns;
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) {
    Store(weight[c] * (x[c] * factor), y + row * columns + c);
  }
}

// A block is a row; kernels/rms_norm.cc has the formula.
template <typename Dy>
__global__ void BackwardKernel(RmsNormBackward norm, const Dy* dy) {
  const int64_t row = blockIdx.x;
  const int64_t columns = norm.columns;
  const float* x = norm.x + row * columns;
  const Dy* d = dy + row * columns;
  const float* weight = norm.weight + row % norm.weight_rows * columns;
  const float inverse = norm.inverse_rms[row];
  const float factor = inverse * norm.scale;
  float with_x = 0;
  float alone = 0;
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) {
    const float g = weight[c] * Load(d + c);
    with_x += g * x[c];
    alone += g;
  }
  const float mean = BlockReduce(with_x, Sum()) * factor * inverse * inverse / static_cast<float>(columns);
  const float shift = norm.centered ? BlockReduce(alone, Sum()) * factor / static_cast<float>(columns) : 0.0F;
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) {
    const float through =
        norm.residual == nullptr ? 0.0F : norm.residual_scale * norm.residual[row * columns + c];
    norm.dx[row * columns + c] = through + (factor * weight[c] * Load(d + c) - x[c] * mean) - shift;
  }
}

// A block is kWarp columns (x), a part of the rows (y) and a row of the weight (z).
template <typename Dy>
__global__ void WeightKernel(RmsNormBackward norm, const Dy* dy, float* partial, int64_t rows) {
  __shared__ float shares[kThreads / kWarp][kWarp];
  const unsigned lane = threadIdx.x % kWarp;
  const unsigned slot = threadIdx.x / kWarp;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarp + lane;
  const int64_t step = static_cast<int64_t>(kParts) * (kThreads / kWarp);
  float share = 0;
  if (column < norm.columns) {
    for (int64_t i = static_cast<int64_t>(blockIdx.y) * (kThreads / kWarp) + slot;
         i * norm.weight_rows + blockIdx.z < rows; i += step) {
      const int64_t row = i * norm.weight_rows + blockIdx.z;
      const int64_t at = row * norm.columns + column;
      share += Load(dy + at) * norm.x[at] * (norm.inverse_rms[row] * norm.scale);
    }
  }
  shares[slot][lane] = share;
  __syncthreads();
  if (slot != 0 || column >= norm.columns) return;
  float sum = 0;
  for (unsigned s = 0; s < kThreads / kWarp; ++s) sum += shares[s][lane];
  partial[(blockIdx.y * norm.weight_rows + blockIdx.z) * norm.columns + column] = sum;
}

__global__ void AddPartsKernel(const float* partial, float* gradient, int64_t count) {
  for (int64_t i = FirstElement(); i < count; i += ElementStride()) {
    float sum = 0;
    for (unsigned part = 0; part < kParts; ++part) sum += partial[part * count + i];
    gradient[i] += sum;
  }
}

}  // namespace

template <typename Branch, typename Y>
void Norm(Stream stream, const RmsNormForward& norm, const Branch* branch, Y* y, int64_t rows) {
  if (rows == 0) return;
  Launch(ForwardKernel<Branch, Y>, static_cast<unsigned>(rows), stream, norm, branch, y);
}
template void Norm(Stream, const RmsNormForward&, const float*, float*, int64_t);
template void Norm(Stream, const RmsNormForward&, const Bf16*, Bf16*, int64_t);
template void Norm(Stream, const RmsNormForward&, const Bf16*, float*, int64_t);

int64_t NormScratch(const RmsNormBackward& norm) {
  return kParts * norm.weight_rows * norm.columns;
}

template <typename Dy>
void NormBackward(Stream stream, const RmsNormBackward& norm, const Dy* dy, float* weight_gradient,
                  float* partial, int64_t rows) {
  if (rows == 0) return;
  const dim3 tiles(static_cast<unsigned>((norm.columns + kWarp - 1) / kWarp), kParts,
                   static_cast<unsigned>(norm.weight_rows));
  const int64_t count = norm.weight_rows * norm.columns;
  Launch(WeightKernel<Dy>, tiles, stream, norm, dy, partial, rows);
  Launch(AddPartsKernel, BlocksFor(count), stream, partial, weight_gradient, count);
  Launch(BackwardKernel<Dy>, static_cast<unsigned>(rows), stream, norm, dy);
}
template void NormBackward(Stream, const RmsNormBackward&, const float*, float*, float*, int64_t);
template void NormBackward(Stream, const RmsNormBackward&, const Bf16*, float*, float*, int64_t);

}  // namespace mixln::worker::trainer::cuda
