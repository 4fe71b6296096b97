#include "worker/trainer/kernels/rope.h"

#include <cmath>

namespace mixln::worker::trainer::kernels {
namespace {

template <typename T>
MIXLN_INLINE void Rotate(const Rope& table, T* rows, int64_t stride, int64_t heads, int64_t time,
                         bool inverse, int64_t begin, int64_t end) {
  const int64_t half = table.half;
  const float sign = inverse ? -1.0F : 1.0F;
  for (int64_t row = begin; row < end; ++row) {
    const float* __restrict__ cos = table.cosines + (row % time) * half;
    const float* __restrict__ sin = table.sines + (row % time) * half;
    for (int64_t head = 0; head < heads; ++head) {
      T* __restrict__ first = rows + row * stride + head * 2 * half;
      T* __restrict__ second = first + half;
#pragma GCC ivdep
      for (int64_t i = 0; i < half; ++i) {  // the halves do not overlap
        const float a = Load(first + i);
        const float b = Load(second + i);
        const float s = sign * sin[i];
        Store(a * cos[i] - b * s, first + i);
        Store(b * cos[i] + a * s, second + i);
      }
    }
  }
}

}  // namespace

RopeTable::RopeTable(int64_t context, int64_t head_size, double theta)
    : half(head_size / 2), cos(static_cast<size_t>(context * half)), sin(cos.size()) {
  for (int64_t i = 0; i < half; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_size);
    const float frequency = 1.0F / std::pow(static_cast<float>(theta), exponent);
    for (int64_t position = 0; position < context; ++position) {
      const float angle = static_cast<float>(position) * frequency;
      cos[static_cast<size_t>(position * half + i)] = std::cos(angle);
      sin[static_cast<size_t>(position * half + i)] = std::sin(angle);
    }
  }
}

MIXLN_CLONES void RotateRows(const Rope& table, float* rows, int64_t stride, int64_t heads, int64_t time,
                             bool inverse, int64_t begin, int64_t end) {
  Rotate(table, rows, stride, heads, time, inverse, begin, end);
}
MIXLN_CLONES void RotateRows(const Rope& table, Bf16* rows, int64_t stride, int64_t heads, int64_t time,
                             bool inverse, int64_t begin, int64_t end) {
  Rotate(table, rows, stride, heads, time, inverse, begin, end);
}

}  // namespace mixln::worker::trainer::kernels
