#include "worker/trainer/kernels/cross_entropy.h"

#include <cmath>

#include "worker/trainer/kernels/scratch.h"
#include "worker/trainer/kernels/vector.h"

namespace mixln::worker::trainer::kernels {
namespace {

// A row as fp32 and its largest element.
template <typename L, typename T>
MIXLN_INLINE float LoadRow(const T* z, float* row, int64_t columns) {
  for (int64_t c = 0; c < columns; ++c) row[c] = Load(z + c);
  return MaxRow<L>(row, columns);
}

template <typename L, typename T>
MIXLN_INLINE void Rows(T* logits, const int64_t* targets, const uint8_t* mask, float gradient_scale,
                       double* loss, float* exponentials, int64_t columns, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    T* __restrict__ z = logits + row * columns;
    if (mask != nullptr && mask[row] == 0) {
      loss[row] = 0;
      if (gradient_scale != 0) {
        for (int64_t c = 0; c < columns; ++c) Store(0.0F, z + c);
      }
      continue;
    }
    const float max = LoadRow<L>(z, exponentials, columns);
    const float target = exponentials[targets[row]] - max;
    const double sum = ExpAndSumRow<L>(exponentials, max, columns);
    loss[row] = std::log(sum) - static_cast<double>(target);
    if (gradient_scale == 0) continue;
    const float factor = static_cast<float>(static_cast<double>(gradient_scale) / sum);
    const float at_target = exponentials[targets[row]] * factor - gradient_scale;
    for (int64_t c = 0; c < columns; ++c) Store(exponentials[c] * factor, z + c);
    Store(at_target, z + targets[row]);
  }
}

// Of a thread: one row, which stays in the second cache.
float* Exponentials(int64_t columns) {
  thread_local Scratch<float> scratch;
  return scratch.Room(columns);
}

}  // namespace

MIXLN_CLONES static void RowsFloat(float* logits, const int64_t* targets, const uint8_t* mask,
                                   float gradient_scale, double* loss, float* exponentials, int64_t columns,
                                   int64_t begin, int64_t end) {
  WithLanes([&](auto lanes) __attribute__((always_inline)) {
    Rows<decltype(lanes)>(logits, targets, mask, gradient_scale, loss, exponentials, columns, begin, end);
  });
}
MIXLN_CLONES static void RowsBf16(Bf16* logits, const int64_t* targets, const uint8_t* mask,
                                  float gradient_scale, double* loss, float* exponentials, int64_t columns,
                                  int64_t begin, int64_t end) {
  WithLanes([&](auto lanes) __attribute__((always_inline)) {
    Rows<decltype(lanes)>(logits, targets, mask, gradient_scale, loss, exponentials, columns, begin, end);
  });
}

void CrossEntropyRows(float* logits, const int64_t* targets, const uint8_t* mask, float gradient_scale,
                      double* loss, int64_t columns, int64_t begin, int64_t end) {
  RowsFloat(logits, targets, mask, gradient_scale, loss, Exponentials(columns), columns, begin, end);
}
void CrossEntropyRows(Bf16* logits, const int64_t* targets, const uint8_t* mask, float gradient_scale,
                      double* loss, int64_t columns, int64_t begin, int64_t end) {
  RowsBf16(logits, targets, mask, gradient_scale, loss, Exponentials(columns), columns, begin, end);
}

}  // namespace mixln::worker::trainer::kernels
