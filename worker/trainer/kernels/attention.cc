#include "worker/trainer/kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "worker/trainer/kernels/small_gemm.h"
#include "worker/trainer/kernels/vector.h"

// A task is one key/value head of one sequence with all query heads that read it. It packs what it needs as
// fp32, padded with zeros to whole vectors, and walks over blocks of queries; keys behind a block's last
// query are skipped.
namespace mixln::worker::trainer::kernels {
namespace {

constexpr int64_t kQueries = 32;  // in a block

MIXLN_INLINE int64_t Padded(int64_t count) {
  return (count + kLanes - 1) / kLanes * kLanes;
}

// What follows from a shape; counted in elements.
struct Sizes {
  int64_t time;
  int64_t head;        // of a head
  int64_t width;       // `head`, padded
  int64_t keys_width;  // `time`, padded
  int64_t stride;      // of a row of qkv
  int64_t out_stride;  // of a row of the output
  int64_t group;       // query heads that read one key/value head
  float scale;         // of scores
};

MIXLN_INLINE Sizes SizesOf(const AttentionShape& shape) {
  return {.time = shape.time,
          .head = shape.head_size,
          .width = Padded(shape.head_size),
          .keys_width = Padded(shape.time),
          .stride = (shape.heads + 2 * shape.kv_heads) * shape.head_size,
          .out_stride = shape.heads * shape.head_size,
          .group = shape.heads / shape.kv_heads,
          .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_size)))};
}

// Matrices of one task, kept from task to task. All are [time, width] unless said otherwise.
struct Scratch {
  std::vector<float> q, k, v, out_gradient;
  std::vector<float> k_transposed, v_transposed;  // [head_size, time padded]
  std::vector<float> q_gradient, k_gradient, v_gradient;
  std::vector<float> scores, score_gradients;  // [kQueries, time padded]
  std::vector<float> result;                   // [kQueries, width]
};

float* Room(std::vector<float>& buffer, int64_t count) {
  if (static_cast<int64_t>(buffer.size()) < count) buffer.resize(static_cast<size_t>(count));
  return buffer.data();
}

template <typename T>
MIXLN_INLINE void Pack(const T* from, int64_t stride, int64_t rows, int64_t columns, float scale, float* to,
                       int64_t width) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < columns; ++c) to[row * width + c] = scale * Load(from + row * stride + c);
    for (int64_t c = columns; c < width; ++c) to[row * width + c] = 0;
  }
}

template <typename T>
MIXLN_INLINE void PackTransposed(const T* from, int64_t stride, int64_t rows, int64_t columns, float* to,
                                 int64_t width) {
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t row = 0; row < rows; ++row) to[c * width + row] = Load(from + row * stride + c);
    for (int64_t row = rows; row < width; ++row) to[c * width + row] = 0;
  }
}

template <typename T>
MIXLN_INLINE void Unpack(const float* from, int64_t width, int64_t rows, int64_t columns, float scale, T* to,
                         int64_t stride) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < columns; ++c) Store(scale * from[row * width + c], to + row * stride + c);
  }
}

template <typename T>
MIXLN_INLINE void Forward(const AttentionShape& shape, const T* qkv, T* out, float* lse, Scratch& scratch,
                          int64_t begin, int64_t end) {
  const auto [time, size, width, keys_width, stride, out_stride, group, scale] = SizesOf(shape);
  float* q = Room(scratch.q, time * width);
  float* v = Room(scratch.v, time * width);
  float* k_transposed = Room(scratch.k_transposed, size * keys_width);
  float* scores = Room(scratch.scores, kQueries * keys_width);
  float* result = Room(scratch.result, kQueries * width);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t batch = task / shape.kv_heads;
    const int64_t kv = task % shape.kv_heads;
    const T* rows = qkv + batch * time * stride;
    PackTransposed(rows + (shape.heads + kv) * size, stride, time, size, k_transposed, keys_width);
    Pack(rows + (shape.heads + shape.kv_heads + kv) * size, stride, time, size, 1.0F, v, width);
    for (int64_t head = kv * group; head < (kv + 1) * group; ++head) {
      Pack(rows + head * size, stride, time, size, scale, q, width);
      float* head_lse = lse + (batch * shape.heads + head) * time;
      for (int64_t first = 0; first < time; first += kQueries) {
        const int64_t count = std::min(kQueries, time - first);
        const int64_t keys = Padded(first + count);
        SmallGemm<false>(count, keys, size, q + first * width, width, k_transposed, keys_width, scores,
                         keys_width, false);
        for (int64_t i = 0; i < count; ++i) {
          float* __restrict__ row = scores + i * keys_width;
          const int64_t seen = first + i + 1;
          const float max = MaxRow(row, seen);
          ExpRow(row, max, seen);
          const float sum = SumOf(seen, [row](int64_t j) { return row[j]; });
          const float inverse = 1.0F / sum;
          for (int64_t j = 0; j < seen; ++j) row[j] *= inverse;
          for (int64_t j = seen; j < keys; ++j) row[j] = 0;
          head_lse[first + i] = max + std::log(sum);
        }
        SmallGemm<false>(count, width, first + count, scores, keys_width, v, width, result, width, false);
        Unpack(result, width, count, size, 1.0F, out + (batch * time + first) * out_stride + head * size,
               out_stride);
      }
    }
  }
}

// With P the probabilities, dP = dO·Vᵀ and δ = Σ dO∘O of a query:  dS = P∘(dP − δ), dQ = scale·dS·K, dK =
// scale·dSᵀ·Q, dV = Pᵀ·dO (Dao et al. 2022, appendix B.2). Q is packed with the scale in it.
template <typename T>
MIXLN_INLINE void Backward(const AttentionShape& shape, const T* qkv, const T* out, const float* lse,
                           const T* dout, T* dqkv, Scratch& scratch, int64_t begin, int64_t end) {
  const auto [time, size, width, keys_width, stride, out_stride, group, scale] = SizesOf(shape);
  float* q = Room(scratch.q, time * width);
  float* k = Room(scratch.k, time * width);
  float* k_transposed = Room(scratch.k_transposed, size * keys_width);
  float* v_transposed = Room(scratch.v_transposed, size * keys_width);
  float* dresult = Room(scratch.out_gradient, time * width);
  float* dq = Room(scratch.q_gradient, time * width);
  float* dk = Room(scratch.k_gradient, keys_width * width);
  float* dv = Room(scratch.v_gradient, keys_width * width);
  float* p = Room(scratch.scores, kQueries * keys_width);
  float* dp = Room(scratch.score_gradients, kQueries * keys_width);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t batch = task / shape.kv_heads;
    const int64_t kv = task % shape.kv_heads;
    const T* rows = qkv + batch * time * stride;
    T* gradient_rows = dqkv + batch * time * stride;
    const T* keys_at = rows + (shape.heads + kv) * size;
    Pack(keys_at, stride, time, size, 1.0F, k, width);
    PackTransposed(keys_at, stride, time, size, k_transposed, keys_width);
    PackTransposed(keys_at + shape.kv_heads * size, stride, time, size, v_transposed, keys_width);
    std::fill(dk, dk + keys_width * width, 0.0F);
    std::fill(dv, dv + keys_width * width, 0.0F);
    for (int64_t head = kv * group; head < (kv + 1) * group; ++head) {
      Pack(rows + head * size, stride, time, size, scale, q, width);
      Pack(dout + batch * time * out_stride + head * size, out_stride, time, size, 1.0F, dresult, width);
      const float* head_lse = lse + (batch * shape.heads + head) * time;
      for (int64_t first = 0; first < time; first += kQueries) {
        const int64_t count = std::min(kQueries, time - first);
        const int64_t last = first + count;
        const int64_t keys = Padded(last);
        SmallGemm<false>(count, keys, size, q + first * width, width, k_transposed, keys_width, p, keys_width,
                         false);
        SmallGemm<false>(count, keys, size, dresult + first * width, width, v_transposed, keys_width, dp,
                         keys_width, false);
        for (int64_t i = 0; i < count; ++i) {
          const T* o = out + (batch * time + first + i) * out_stride + head * size;
          const float* d = dresult + (first + i) * width;
          const float delta = SumOf(size, [o, d](int64_t c) { return Load(o + c) * d[c]; });
          float* __restrict__ p_row = p + i * keys_width;
          float* __restrict__ dp_row = dp + i * keys_width;
          const float row_lse = head_lse[first + i];
          const int64_t seen = first + i + 1;
          ExpRow(p_row, row_lse, seen);
          for (int64_t j = 0; j < seen; ++j) dp_row[j] = p_row[j] * (dp_row[j] - delta);
          for (int64_t j = seen; j < keys; ++j) p_row[j] = dp_row[j] = 0;
        }
        SmallGemm<false>(count, width, last, dp, keys_width, k, width, dq + first * width, width, false);
        SmallGemm<true>(last, width, count, dp, keys_width, q + first * width, width, dk, width, true);
        SmallGemm<true>(last, width, count, p, keys_width, dresult + first * width, width, dv, width, true);
      }
      Unpack(dq, width, time, size, scale, gradient_rows + head * size, stride);
    }
    T* dkeys_at = gradient_rows + (shape.heads + kv) * size;
    Unpack(dk, width, time, size, 1.0F, dkeys_at, stride);
    Unpack(dv, width, time, size, 1.0F, dkeys_at + shape.kv_heads * size, stride);
  }
}

Scratch& ThreadScratch() {
  thread_local Scratch scratch;
  return scratch;
}

MIXLN_CLONES void ForwardFloat(const AttentionShape& shape, const float* qkv, float* out, float* lse,
                               Scratch& scratch, int64_t begin, int64_t end) {
  Forward(shape, qkv, out, lse, scratch, begin, end);
}
MIXLN_CLONES void ForwardBf16(const AttentionShape& shape, const Bf16* qkv, Bf16* out, float* lse,
                              Scratch& scratch, int64_t begin, int64_t end) {
  Forward(shape, qkv, out, lse, scratch, begin, end);
}
MIXLN_CLONES void BackwardFloat(const AttentionShape& shape, const float* qkv, const float* out,
                                const float* lse, const float* dout, float* dqkv, Scratch& scratch,
                                int64_t begin, int64_t end) {
  Backward(shape, qkv, out, lse, dout, dqkv, scratch, begin, end);
}
MIXLN_CLONES void BackwardBf16(const AttentionShape& shape, const Bf16* qkv, const Bf16* out,
                               const float* lse, const Bf16* dout, Bf16* dqkv, Scratch& scratch,
                               int64_t begin, int64_t end) {
  Backward(shape, qkv, out, lse, dout, dqkv, scratch, begin, end);
}

}  // namespace

void AttentionTasks(const AttentionShape& shape, const float* qkv, float* out, float* lse, int64_t begin,
                    int64_t end) {
  ForwardFloat(shape, qkv, out, lse, ThreadScratch(), begin, end);
}
void AttentionTasks(const AttentionShape& shape, const Bf16* qkv, Bf16* out, float* lse, int64_t begin,
                    int64_t end) {
  ForwardBf16(shape, qkv, out, lse, ThreadScratch(), begin, end);
}
void AttentionTasksBackward(const AttentionShape& shape, const float* qkv, const float* out, const float* lse,
                            const float* dout, float* dqkv, int64_t begin, int64_t end) {
  BackwardFloat(shape, qkv, out, lse, dout, dqkv, ThreadScratch(), begin, end);
}
void AttentionTasksBackward(const AttentionShape& shape, const Bf16* qkv, const Bf16* out, const float* lse,
                            const Bf16* dout, Bf16* dqkv, int64_t begin, int64_t end) {
  BackwardBf16(shape, qkv, out, lse, dout, dqkv, ThreadScratch(), begin, end);
}

}  // namespace mixln::worker::trainer::kernels
