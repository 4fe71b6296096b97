#include "worker/trainer/attention/attention.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "worker/trainer/gemm/block.h"
#include "worker/trainer/gemm/element.h"
#include "worker/trainer/kernels/elementwise.h"
#include "worker/trainer/kernels/pack.h"
#include "worker/trainer/kernels/scratch.h"
#include "worker/trainer/kernels/softmax.h"

// A task is one key/value head of one sequence with all query heads that read it.
namespace mixln::worker::trainer::attention {
namespace {

using gemm::BlockProduct;
using gemm::Data;
using kernels::Scratch;

constexpr int64_t kBlock = 64;  // queries, or keys

// What follows from a shape; in elements but for the words.
template <typename T>
struct Sizes {
  explicit Sizes(const Shape& shape)
      : time(shape.time),
        head(shape.head_size),
        stride((shape.heads + 2 * shape.kv_heads) * shape.head_size),
        out_stride(shape.heads * shape.head_size),
        group(shape.heads / shape.kv_heads),
        head_words(Words(shape.head_size)),
        time_words(Words(shape.time)),
        padded_time(time_words * kElements),
        scale(static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_size)))) {}

  static constexpr auto kElements = static_cast<int64_t>(sizeof(uint32_t) / sizeof(T));  // of a word
  static int64_t Words(int64_t depth) { return kernels::WordsOf(depth, static_cast<const T*>(nullptr)); }
  static int64_t Padded(int64_t depth) { return Words(depth) * kElements; }

  int64_t time, head;
  int64_t stride;      // of a row of qkv
  int64_t out_stride;  // of a row of the output
  int64_t group;       // query heads that read one key/value head
  int64_t head_words, time_words;
  int64_t padded_time;
  float scale;  // of scores
};

template <typename T>
void ForwardTask(const Shape& shape, const at::Tensor& qkv, const Result& result, int64_t task) {
  thread_local Scratch<uint32_t> keys_room, values_room;
  thread_local Scratch<float> scores_room, sums_room, heads_room;
  thread_local Scratch<T> probabilities_room;
  const Sizes<T> size(shape);
  const int64_t batch = task / shape.kv_heads;
  const int64_t kv = task % shape.kv_heads;
  const T* rows = Data<T>(qkv) + batch * size.time * size.stride;
  const T* keys_at = rows + (shape.heads + kv) * size.head;
  const T* values_at = keys_at + shape.kv_heads * size.head;
  uint32_t* keys = keys_room.Room(size.head_words * size.time);
  kernels::PackColumns(keys_at, size.stride, size.head, size.time, keys, size.time);
  uint32_t* values = values_room.Room(size.time_words * size.head);
  kernels::PackRows(values_at, size.stride, size.time, size.head, values, size.head);
  float* scores = scores_room.Room(kBlock * size.time);
  T* probabilities = probabilities_room.Room(kBlock * size.padded_time);
  float* sums = sums_room.Room(kBlock);
  float* out = heads_room.Room(kBlock * size.head);
  for (int64_t head = kv * size.group; head < (kv + 1) * size.group; ++head) {
    float* lse = Data<float>(result.lse) + (batch * shape.heads + head) * size.time;
    for (int64_t first = 0; first < size.time; first += kBlock) {
      const int64_t count = std::min(kBlock, size.time - first);
      const int64_t seen = first + count;
      BlockProduct(count, seen, size.head, rows + first * size.stride + head * size.head, size.stride, keys,
                   size.time, scores, size.time, false);
      kernels::SoftmaxRows({scores, size.time, count, first, size.scale}, Sizes<T>::Padded(seen),
                           probabilities, size.padded_time, sums, lse + first);
      BlockProduct(count, size.head, Sizes<T>::Padded(seen), probabilities, size.padded_time, values,
                   size.head, out, size.head, false);
      kernels::ScaleRows(
          out, sums, count, size.head,
          Data<T>(result.output) + (batch * size.time + first) * size.out_stride + head * size.head,
          size.out_stride);
    }
  }
}

// Packed copies of one query head's queries and output gradients.
template <typename T>
struct PackedHead {
  PackedHead(const Sizes<T>& size, const T* from, int64_t stride, Scratch<uint32_t>& columns_room,
             Scratch<uint32_t>& rows_room)
      : columns(columns_room.Room(size.head_words * size.time)),
        rows(rows_room.Room(size.time_words * size.head)) {
    kernels::PackColumns(from, stride, size.head, size.time, columns, size.time);
    kernels::PackRows(from, stride, size.time, size.head, rows, size.head);
  }
  uint32_t* columns;  // [head words, time]
  uint32_t* rows;     // [time words, head]
};

// With P the probabilities, dP = dO·Vᵀ and δ = Σ dO∘O of a query:  dS = P∘(dP − δ), dQ = scale·dS·K,
// dK = scale·dSᵀ·Q, dV = Pᵀ·dO (Dao et al. 2022, appendix B.2). A block is of 64 keys and all queries from
// the first of them on, transposed: then only dQ needs a transposed operand.
template <typename T>
void BackwardTask(const Shape& shape, const at::Tensor& qkv, const Result& result, const at::Tensor& doutput,
                  const at::Tensor& dqkv, int64_t task) {
  thread_local Scratch<uint32_t> rooms[6];
  thread_local Scratch<float> scores_room, dscores_room, delta_room, dq_room, dk_room, dv_room;
  thread_local Scratch<T> p_room, ds_room;
  const Sizes<T> size(shape);
  const int64_t time = size.time;
  const int64_t batch = task / shape.kv_heads;
  const int64_t kv = task % shape.kv_heads;
  const T* rows = Data<T>(qkv) + batch * time * size.stride;
  const T* keys_at = rows + (shape.heads + kv) * size.head;
  const T* values_at = keys_at + shape.kv_heads * size.head;
  T* drows = Data<T>(dqkv) + batch * time * size.stride;
  uint32_t* keys = rooms[0].Room(size.time_words * size.head);
  kernels::PackRows(keys_at, size.stride, time, size.head, keys, size.head);
  float* scores = scores_room.Room(kBlock * time);
  float* dscores = dscores_room.Room(kBlock * time);
  T* p = p_room.Room(kBlock * size.padded_time);
  T* ds = ds_room.Room(kBlock * size.padded_time);
  float* delta = delta_room.Room(time);
  float* dq = dq_room.Room(time * size.head);
  float* dk = dk_room.Room(time * size.head);
  float* dv = dv_room.Room(time * size.head);
  for (int64_t head = kv * size.group; head < (kv + 1) * size.group; ++head) {
    const bool add = head > kv * size.group;
    const int64_t out_at = batch * time * size.out_stride + head * size.head;
    const T* dout = Data<T>(doutput) + out_at;
    const float* lse = Data<float>(result.lse) + (batch * shape.heads + head) * time;
    const PackedHead<T> q(size, rows + head * size.head, size.stride, rooms[1], rooms[2]);
    const PackedHead<T> packed_dout(size, dout, size.out_stride, rooms[3], rooms[4]);
    kernels::RowDots(Data<T>(result.output) + out_at, dout, size.out_stride, time, size.head, delta);
    for (int64_t first = 0; first < time; first += kBlock) {
      const int64_t count = std::min(kBlock, time - first);
      const int64_t queries = time - first;
      const int64_t width = Sizes<T>::Padded(queries);
      const int64_t word = first / Sizes<T>::kElements;
      BlockProduct(count, queries, size.head, keys_at + first * size.stride, size.stride, q.columns + first,
                   time, scores, queries, false);
      BlockProduct(count, queries, size.head, values_at + first * size.stride, size.stride,
                   packed_dout.columns + first, time, dscores, queries, false);
      kernels::SoftmaxBlockBackward(
          {scores, dscores, queries, count, queries, lse + first, delta + first, size.scale}, width, p, ds,
          width);
      BlockProduct(count, size.head, width, p, width, packed_dout.rows + word * size.head, size.head,
                   dv + first * size.head, size.head, add);
      BlockProduct(count, size.head, width, ds, width, q.rows + word * size.head, size.head,
                   dk + first * size.head, size.head, add);
      const int64_t count_words = Sizes<T>::Words(count);
      uint32_t* turned = rooms[5].Room(queries * count_words);
      kernels::PackLeft(ds, width, queries, count, turned, count_words);
      BlockProduct(queries, size.head, Sizes<T>::Padded(count), reinterpret_cast<const T*>(turned),
                   Sizes<T>::Padded(count), keys + word * size.head, size.head, dq + first * size.head,
                   size.head, first > 0);
    }
    kernels::RoundRows(dq, size.head, time, size.head, drows + head * size.head, size.stride);
  }
  T* dkeys_at = drows + (shape.heads + kv) * size.head;
  kernels::RoundRows(dk, size.head, time, size.head, dkeys_at, size.stride);
  kernels::RoundRows(dv, size.head, time, size.head, dkeys_at + shape.kv_heads * size.head, size.stride);
}

// Calls work(T{}, task) for each task, on all threads.
template <typename Work>
void RunTasks(const Shape& shape, at::ScalarType type, Work work) {
  gemm::WithElement(type, [&](auto element) {
    at::parallel_for(0, shape.batch * shape.kv_heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) work(element, task);
      gemm::EndBlockProducts();
    });
  });
}

}  // namespace

Result Forward(const Shape& shape, const at::Tensor& qkv) {
  Result result{at::empty({qkv.size(0), shape.heads * shape.head_size}, qkv.options()),
                at::empty({shape.batch, shape.heads, shape.time}, qkv.options().dtype(at::kFloat))};
  RunTasks(shape, qkv.scalar_type(),
           [&](auto element, int64_t task) { ForwardTask<decltype(element)>(shape, qkv, result, task); });
  return result;
}

at::Tensor Backward(const Shape& shape, const at::Tensor& qkv, const Result& result,
                    const at::Tensor& doutput) {
  const at::Tensor dqkv = at::empty_like(qkv);
  RunTasks(shape, qkv.scalar_type(), [&](auto element, int64_t task) {
    BackwardTask<decltype(element)>(shape, qkv, result, doutput, dqkv, task);
  });
  return dqkv;
}

}  // namespace mixln::worker::trainer::attention
