#include "worker/trainer/kernels/cross_entropy.h"

#include <cmath>

#include "worker/trainer/kernels/vector.h"

namespace mixln::worker::trainer::kernels {
namespace {

template <typename T>
MIXLN_INLINE void Rows(T* logits, const int64_t* targets, const uint8_t* mask, float gradient_scale,
                       double* loss, int64_t columns, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    T* __restrict__ z = logits + row * columns;
    if (mask != nullptr && mask[row] == 0) {
      loss[row] = 0;
      if (gradient_scale != 0) {
        for (int64_t c = 0; c < columns; ++c) Store(0.0F, z + c);
      }
      continue;
    }
    const float max = MaxOf(columns, [z](int64_t c) { return Load(z + c); });
    const float sum = SumOf(columns, [z, max](int64_t c) { return Exp(Load(z + c) - max); });
    const float target = Load(z + targets[row]) - max;
    loss[row] = std::log(static_cast<double>(sum)) - static_cast<double>(target);
    if (gradient_scale == 0) continue;
    const float factor = gradient_scale / sum;
    const float at_target = gradient_scale * (Exp(target) / sum - 1.0F);
    for (int64_t c = 0; c < columns; ++c) Store(Exp(Load(z + c) - max) * factor, z + c);
    Store(at_target, z + targets[row]);
  }
}

}  // namespace

MIXLN_CLONES void CrossEntropyRows(float* logits, const int64_t* targets, const uint8_t* mask,
                                   float gradient_scale, double* loss, int64_t columns, int64_t begin,
                                   int64_t end) {
  Rows(logits, targets, mask, gradient_scale, loss, columns, begin, end);
}
MIXLN_CLONES void CrossEntropyRows(Bf16* logits, const int64_t* targets, const uint8_t* mask,
                                   float gradient_scale, double* loss, int64_t columns, int64_t begin,
                                   int64_t end) {
  Rows(logits, targets, mask, gradient_scale, loss, columns, begin, end);
}

}  // namespace mixln::worker::trainer::kernels
