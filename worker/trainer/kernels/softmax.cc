#include "worker/trainer/kernels/softmax.h"

#include <algorithm>
#include <cmath>

#include "worker/trainer/kernels/vector.h"

namespace mixln::worker::trainer::kernels {
namespace {

template <typename P>
MIXLN_INLINE void Softmax(const ScoreRows& rows, int64_t keys, P* probability, int64_t stride,
                          float* inverse_sum, float* lse) {
  for (int64_t i = 0; i < rows.rows; ++i) {
    const float* score = rows.scores + i * rows.stride;
    P* out = probability + i * stride;
    const int64_t seen = std::min(keys, rows.first_query + i + 1);
    const float largest = MaxRow(score, seen);
    const float shift = rows.scale * largest;
    Vector lanes{};
    int64_t j = 0;
    for (; j + kLanes <= seen; j += kLanes) {
      Vector x = MIXLN_LOAD_VECTOR(score + j) * rows.scale - shift;
      ExpInPlace(x);
      lanes += x;
      StoreVector(x, out + j);
    }
    float sum = 0;
    for (; j < seen; ++j) {
      const float x = Exp(score[j] * rows.scale - shift);
      sum += x;
      Store(x, out + j);
    }
    for (; j < keys; ++j) Store(0.0F, out + j);
    sum = AddLanes(sum, lanes);
    inverse_sum[i] = 1.0F / sum;
    lse[i] = shift + std::log(sum);
  }
}

template <typename P>
MIXLN_INLINE void BlockBackward(const ScoreBlock& block, int64_t width, P* probability, P* score_gradient,
                                int64_t stride) {
  for (int64_t key = 0; key < block.keys; ++key) {
    const float* score = block.scores + key * block.stride;
    const float* gradient = block.gradients + key * block.stride;
    P* p_out = probability + key * stride;
    P* ds_out = score_gradient + key * stride;
    const auto one = [&](int64_t query) {
      const float p = Exp(score[query] * block.scale - block.lse[query]);
      const float ds = block.scale * p * (gradient[query] - block.delta[query]);
      Store(p, p_out + query);
      Store(ds, ds_out + query);
    };
    const int64_t first = std::min(key, block.queries);
    for (int64_t query = 0; query < first; ++query) {
      Store(0.0F, p_out + query);
      Store(0.0F, ds_out + query);
    }
    int64_t query = first;
    for (; query % kLanes != 0 && query < block.queries; ++query) one(query);
    for (; query + kLanes <= block.queries; query += kLanes) {
      Vector p = MIXLN_LOAD_VECTOR(score + query) * block.scale - MIXLN_LOAD_VECTOR(block.lse + query);
      ExpInPlace(p);
      const Vector ds =
          block.scale * p * (MIXLN_LOAD_VECTOR(gradient + query) - MIXLN_LOAD_VECTOR(block.delta + query));
      StoreVector(p, p_out + query);
      StoreVector(ds, ds_out + query);
    }
    for (; query < block.queries; ++query) one(query);
    for (; query < width; ++query) {
      Store(0.0F, p_out + query);
      Store(0.0F, ds_out + query);
    }
  }
}

template <typename T>
MIXLN_INLINE void Scaled(const float* from, const float* factor, int64_t rows, int64_t columns, T* to,
                         int64_t to_stride) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* __restrict__ source = from + row * columns;
    T* __restrict__ target = to + row * to_stride;
    for (int64_t c = 0; c < columns; ++c) Store(factor[row] * source[c], target + c);
  }
}

template <typename T>
MIXLN_INLINE void Dots(const T* x, const T* y, int64_t stride, int64_t rows, int64_t columns, float* dots) {
  for (int64_t row = 0; row < rows; ++row) {
    const T* a = x + row * stride;
    const T* b = y + row * stride;
    dots[row] = SumOf(columns, [a, b](int64_t c) { return Load(a + c) * Load(b + c); });
  }
}

}  // namespace

MIXLN_CLONES void SoftmaxRows(const ScoreRows& rows, int64_t keys, float* probability, int64_t stride,
                              float* inverse_sum, float* lse) {
  Softmax(rows, keys, probability, stride, inverse_sum, lse);
}
MIXLN_CLONES void SoftmaxRows(const ScoreRows& rows, int64_t keys, Bf16* probability, int64_t stride,
                              float* inverse_sum, float* lse) {
  Softmax(rows, keys, probability, stride, inverse_sum, lse);
}
MIXLN_CLONES void SoftmaxBlockBackward(const ScoreBlock& block, int64_t width, float* probability,
                                       float* score_gradient, int64_t stride) {
  BlockBackward(block, width, probability, score_gradient, stride);
}
MIXLN_CLONES void SoftmaxBlockBackward(const ScoreBlock& block, int64_t width, Bf16* probability,
                                       Bf16* score_gradient, int64_t stride) {
  BlockBackward(block, width, probability, score_gradient, stride);
}
MIXLN_CLONES void ScaleRows(const float* from, const float* factor, int64_t rows, int64_t columns, float* to,
                            int64_t to_stride) {
  Scaled(from, factor, rows, columns, to, to_stride);
}
MIXLN_CLONES void ScaleRows(const float* from, const float* factor, int64_t rows, int64_t columns, Bf16* to,
                            int64_t to_stride) {
  Scaled(from, factor, rows, columns, to, to_stride);
}
MIXLN_CLONES void RowDots(const float* x, const float* y, int64_t stride, int64_t rows, int64_t columns,
                          float* dots) {
  Dots(x, y, stride, rows, columns, dots);
}
MIXLN_CLONES void RowDots(const Bf16* x, const Bf16* y, int64_t stride, int64_t rows, int64_t columns,
                          float* dots) {
  Dots(x, y, stride, rows, columns, dots);
}

}  // namespace mixln::worker::trainer::kernels
