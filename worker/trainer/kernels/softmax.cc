#include "worker/trainer/kernels/softmax.h"

#include <algorithm>
#include <cmath>

#include "worker/trainer/kernels/vector.h"

namespace mixln::worker::trainer::kernels {
namespace {

template <typename L, typename P>
MIXLN_INLINE void Softmax(const ScoreRows& rows, int64_t keys, P* probability, int64_t stride,
                          float* inverse_sum, float* lse) {
  using Vector = typename L::Vector;
  for (int64_t i = 0; i < rows.rows; ++i) {
    const float* score = rows.scores + i * rows.stride;
    P* out = probability + i * stride;
    const int64_t seen = std::min(keys, rows.first_query + i + 1);
    const float largest = MaxRow<L>(score, seen);
    const float shift = rows.scale * largest;
    Vector lanes{};
    Vector x;
    int64_t j = 0;
    for (; j + L::kCount <= seen; j += L::kCount) {
      LoadVector<L>(score + j, x);
      x = x * rows.scale - shift;
      ExpInPlace<L>(x);
      lanes += x;
      StoreVector<L>(x, out + j);
    }
    float sum = 0;
    if (j < seen) {
      LoadSome<L>(score + j, seen - j, x);
      x = x * rows.scale - shift;
      ExpInPlace<L>(x);
      StoreSome<L>(x, 0, seen - j, out + j);
      for (int64_t lane = 0; lane < seen - j; ++lane) sum += x[lane];
    }
    for (j = seen; j < keys; ++j) Store(0.0F, out + j);
    sum = AddLanes<L>(sum, lanes);
    inverse_sum[i] = 1.0F / sum;
    lse[i] = shift + std::log(sum);
  }
}

// One register of a row of a block: probabilities and the scores' gradients of queries [query, query + L).
template <typename L>
MIXLN_INLINE void QueriesBackward(const ScoreBlock& block, typename L::Vector& p, typename L::Vector& ds,
                                  const typename L::Vector& gradient, const typename L::Vector& lse,
                                  const typename L::Vector& delta) {
  p = p * block.scale - lse;
  ExpInPlace<L>(p);
  ds = block.scale * p * (gradient - delta);
}

template <typename L, typename P>
MIXLN_INLINE void BlockBackward(const ScoreBlock& block, int64_t width, P* probability, P* score_gradient,
                                int64_t stride) {
  typename L::Vector p, ds, gradient, lse, delta;
  for (int64_t key = 0; key < block.keys; ++key) {
    const float* scores = block.scores + key * block.stride;
    const float* gradients = block.gradients + key * block.stride;
    P* p_out = probability + key * stride;
    P* ds_out = score_gradient + key * stride;
    // The register in which the first query lies that has seen the key is computed whole, then cut off.
    const int64_t first = std::min(key, block.queries);
    int64_t query = first / L::kCount * L::kCount;
    for (; query + L::kCount <= block.queries; query += L::kCount) {
      LoadVector<L>(scores + query, p);
      LoadVector<L>(gradients + query, gradient);
      LoadVector<L>(block.lse + query, lse);
      LoadVector<L>(block.delta + query, delta);
      QueriesBackward<L>(block, p, ds, gradient, lse, delta);
      StoreVector<L>(p, p_out + query);
      StoreVector<L>(ds, ds_out + query);
    }
    if (const int64_t rest = block.queries - query; rest > 0) {
      LoadSome<L>(scores + query, rest, p);
      LoadSome<L>(gradients + query, rest, gradient);
      LoadSome<L>(block.lse + query, rest, lse);
      LoadSome<L>(block.delta + query, rest, delta);
      QueriesBackward<L>(block, p, ds, gradient, lse, delta);
      StoreSome<L>(p, 0, rest, p_out + query);
      StoreSome<L>(ds, 0, rest, ds_out + query);
    }
    const auto clear = [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) {
        Store(0.0F, p_out + q);
        Store(0.0F, ds_out + q);
      }
    };
    clear(0, first);
    clear(block.queries, width);
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
  WithLanes([&](auto lanes) __attribute__((always_inline)) {
    Softmax<decltype(lanes)>(rows, keys, probability, stride, inverse_sum, lse);
  });
}
MIXLN_CLONES void SoftmaxRows(const ScoreRows& rows, int64_t keys, Bf16* probability, int64_t stride,
                              float* inverse_sum, float* lse) {
  WithLanes([&](auto lanes) __attribute__((always_inline)) {
    Softmax<decltype(lanes)>(rows, keys, probability, stride, inverse_sum, lse);
  });
}
MIXLN_CLONES void SoftmaxBlockBackward(const ScoreBlock& block, int64_t width, float* probability,
                                       float* score_gradient, int64_t stride) {
  WithLanes([&](auto lanes) __attribute__((always_inline)) {
    BlockBackward<decltype(lanes)>(block, width, probability, score_gradient, stride);
  });
}
MIXLN_CLONES void SoftmaxBlockBackward(const ScoreBlock& block, int64_t width, Bf16* probability,
                                       Bf16* score_gradient, int64_t stride) {
  WithLanes([&](auto lanes) __attribute__((always_inline)) {
    BlockBackward<decltype(lanes)>(block, width, probability, score_gradient, stride);
  });
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
