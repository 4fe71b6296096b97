#include "worker/trainer/kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/trainer/kernels/vector.h"

namespace mixln::worker::trainer::kernels {
namespace {

constexpr int64_t kPiece = 64;

template <typename T>
MIXLN_INLINE void LoadPiece(const T* z, float* piece, int64_t count) {
  for (int64_t i = 0; i < count; ++i) piece[i] = Load(z + i);
}

// piece = e^(z − shift) of at most kPiece elements.
template <typename T>
MIXLN_INLINE void ExpPiece(const T* z, float shift, float* piece, int64_t count) {
  LoadPiece(z, piece, count);
  ExpRow(piece, shift, count);
}

template <typename T>
MIXLN_INLINE void Rows(T* logits, const int64_t* targets, const uint8_t* mask, float gradient_scale,
                       double* loss, int64_t columns, int64_t begin, int64_t end) {
  float piece[kPiece];
  for (int64_t row = begin; row < end; ++row) {
    T* __restrict__ z = logits + row * columns;
    if (mask != nullptr && mask[row] == 0) {
      loss[row] = 0;
      if (gradient_scale != 0) {
        for (int64_t c = 0; c < columns; ++c) Store(0.0F, z + c);
      }
      continue;
    }
    float max = -std::numeric_limits<float>::infinity();
    for (int64_t first = 0; first < columns; first += kPiece) {
      const int64_t count = std::min(kPiece, columns - first);
      LoadPiece(z + first, piece, count);
      max = std::max(max, MaxRow(piece, count));
    }
    double sum = 0;
    for (int64_t first = 0; first < columns; first += kPiece) {
      const int64_t count = std::min(kPiece, columns - first);
      ExpPiece(z + first, max, piece, count);
      sum += static_cast<double>(SumOf(count, [&piece](int64_t i) { return piece[i]; }));
    }
    const float target = Load(z + targets[row]) - max;
    loss[row] = std::log(sum) - static_cast<double>(target);
    if (gradient_scale == 0) continue;
    const float factor = static_cast<float>(static_cast<double>(gradient_scale) / sum);
    const float at_target = Exp(target) * factor - gradient_scale;
    for (int64_t first = 0; first < columns; first += kPiece) {
      const int64_t count = std::min(kPiece, columns - first);
      ExpPiece(z + first, max, piece, count);
      for (int64_t i = 0; i < count; ++i) Store(piece[i] * factor, z + first + i);
    }
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
