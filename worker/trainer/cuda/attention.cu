#include <cmath>

#include "worker/trainer/cuda/kernels.h"
#include "worker/trainer/cuda/launch.h"

// Tiles of kTile queries by kTile keys in shared memory, in fp32. Thread (row, part) of a block owns every
// kTile-th element of its row's result. Nothing of the size time² is stored.
namespace mixln::worker::trainer::cuda {
namespace {

using kernels::Load;
using kernels::Store;

constexpr int64_t kTile = 16;
static_assert(kTile * kTile == kThreads);
constexpr int64_t kPieces = kLargestHead / kTile;
constexpr int64_t kWidth = kLargestHead + 1;  // rows begin in different banks

using Tile = float[kTile][kWidth];
using Scores = float[kTile][kTile + 1];

// Where a sequence's heads lie.
struct Place {
  int64_t row;     // of the sequence's first position
  int64_t stride;  // of a row of qkv
  int64_t size;    // of a head
};

__device__ Place PlaceOf(const AttentionShape& shape, int64_t batch) {
  return {batch * shape.time, (shape.heads + 2 * shape.kv_heads) * shape.head_size, shape.head_size};
}

// What a thread of a block works at that is a tile of queries (x) of a head (y) of a sequence (z).
template <typename T>
struct QueryTile {
  int64_t row, part;     // within the tile
  int64_t first, query;  // position of the tile's first query, and of this row's
  int64_t head;
  Place at;
  const T* queries;  // of the head, and the keys and values that it reads
  const T* keys;
  const T* values;
};

template <typename T>
__device__ QueryTile<T> QueryTileOf(const AttentionShape& shape, const T* qkv) {
  const int64_t row = threadIdx.x / kTile;
  const int64_t part = threadIdx.x % kTile;
  const int64_t first = blockIdx.x * kTile;
  const int64_t head = blockIdx.y;
  const Place at = PlaceOf(shape, blockIdx.z);
  const T* rows = qkv + at.row * at.stride;
  const T* keys = rows + (shape.heads + head / (shape.heads / shape.kv_heads)) * at.size;
  return {
      row, part, first, first + row, head, at, rows + head * at.size, keys, keys + shape.kv_heads * at.size};
}

// Reads positions [first, first + kTile) of the head at column `head`·size; zeros behind the last. All
// threads call it.
template <typename T>
__device__ void LoadTile(const T* from, int64_t stride, int64_t size, int64_t first, int64_t time,
                         Tile& tile) {
  const int64_t row = threadIdx.x / kTile;
  for (int64_t d = threadIdx.x % kTile; d < size; d += kTile) {
    tile[row][d] = first + row < time ? Load(from + (first + row) * stride + d) : 0.0F;
  }
}

__device__ float DotRows(const float* a, const float* b, int64_t size) {
  float sum = 0;
  for (int64_t d = 0; d < size; ++d) sum += a[d] * b[d];
  return sum;
}

// A block is a tile of queries (x) of a head (y) of a sequence (z).
template <typename T>
__global__ void ForwardKernel(AttentionShape shape, float scale, const T* qkv, T* out, float* lse) {
  __shared__ Tile q;
  __shared__ Tile kv;
  __shared__ Scores scores;
  const auto [row, part, first, query, head, at, queries, keys, values] = QueryTileOf(shape, qkv);
  LoadTile(queries, at.stride, at.size, first, shape.time, q);
  float result[kPieces] = {};
  float max = -INFINITY;
  float sum = 0;
  for (int64_t tile = 0; tile <= first; tile += kTile) {
    __syncthreads();
    LoadTile(keys, at.stride, at.size, tile, shape.time, kv);
    __syncthreads();
    const bool seen = tile + part <= query;
    scores[row][part] = seen ? scale * DotRows(q[row], kv[part], at.size) : -INFINITY;
    __syncthreads();
    LoadTile(values, at.stride, at.size, tile, shape.time, kv);
    __syncthreads();
    float largest = max;
    for (int64_t j = 0; j < kTile; ++j) largest = fmaxf(largest, scores[row][j]);
    const float correction = expf(max - largest);
    max = largest;
    sum *= correction;
    for (int64_t i = 0; i < kPieces; ++i) result[i] *= correction;
    for (int64_t j = 0; j < kTile; ++j) {
      const float p = expf(scores[row][j] - max);
      sum += p;
      for (int64_t i = 0; i < kPieces && part + i * kTile < at.size; ++i)
        result[i] += p * kv[j][part + i * kTile];
    }
  }
  if (query >= shape.time) return;
  T* to = out + (at.row + query) * shape.heads * at.size + head * at.size;
  for (int64_t i = 0; i < kPieces && part + i * kTile < at.size; ++i)
    Store(result[i] / sum, to + part + i * kTile);
  if (part == 0) lse[(blockIdx.z * shape.heads + head) * shape.time + query] = max + logf(sum);
}

// delta = Σ dout∘out of each query and head.
template <typename T>
__global__ void DeltaKernel(AttentionShape shape, const T* out, const T* dout, float* delta) {
  const int64_t count = shape.batch * shape.time * shape.heads;
  for (int64_t i = FirstElement(); i < count; i += ElementStride()) {
    float sum = 0;
    for (int64_t d = 0; d < shape.head_size; ++d) {
      sum += Load(out + i * shape.head_size + d) * Load(dout + i * shape.head_size + d);
    }
    const int64_t position = i / shape.heads;
    delta[(position / shape.time * shape.heads + i % shape.heads) * shape.time + position % shape.time] = sum;
  }
}

// A block is as in ForwardKernel. With p the probabilities: dscores = p∘(dout·vᵀ − delta), dq =
// scale·dscores·k.
template <typename T>
__global__ void QueryKernel(AttentionShape shape, float scale, const T* qkv, const float* lse, const T* dout,
                            const float* delta, T* dqkv) {
  __shared__ Tile q;
  __shared__ Tile d;
  __shared__ Tile kv;
  __shared__ Scores scores;
  const auto [row, part, first, query, head, at, queries, keys, values] = QueryTileOf(shape, qkv);
  const int64_t out_stride = shape.heads * at.size;
  LoadTile(queries, at.stride, at.size, first, shape.time, q);
  LoadTile(dout + at.row * out_stride + head * at.size, out_stride, at.size, first, shape.time, d);
  const int64_t statistic = (blockIdx.z * shape.heads + head) * shape.time + query;
  const float query_lse = query < shape.time ? lse[statistic] : 0.0F;
  const float query_delta = query < shape.time ? delta[statistic] : 0.0F;
  float result[kPieces] = {};
  for (int64_t tile = 0; tile <= first; tile += kTile) {
    __syncthreads();
    LoadTile(values, at.stride, at.size, tile, shape.time, kv);
    __syncthreads();
    const float dp = DotRows(d[row], kv[part], at.size);
    __syncthreads();
    LoadTile(keys, at.stride, at.size, tile, shape.time, kv);
    __syncthreads();
    const bool seen = tile + part <= query && query < shape.time;
    const float p = seen ? expf(scale * DotRows(q[row], kv[part], at.size) - query_lse) : 0.0F;
    scores[row][part] = p * (dp - query_delta);
    __syncthreads();
    for (int64_t j = 0; j < kTile; ++j) {
      for (int64_t i = 0; i < kPieces && part + i * kTile < at.size; ++i) {
        result[i] += scores[row][j] * kv[j][part + i * kTile];
      }
    }
  }
  if (query >= shape.time) return;
  T* to = dqkv + (at.row + query) * at.stride + head * at.size;
  for (int64_t i = 0; i < kPieces && part + i * kTile < at.size; ++i)
    Store(scale * result[i], to + part + i * kTile);
}

// A block is a tile of keys (x) of a key and value head (y) of a sequence (z): dv = pᵀ·dout, dk =
// scale·dscoresᵀ·q.
template <typename T>
__global__ void KeyKernel(AttentionShape shape, float scale, const T* qkv, const float* lse, const T* dout,
                          const float* delta, T* dqkv) {
  __shared__ Tile k;
  __shared__ Tile v;
  __shared__ Tile queries;
  __shared__ Scores probabilities;
  __shared__ Scores scores;
  const int64_t row = threadIdx.x / kTile;
  const int64_t part = threadIdx.x % kTile;
  const int64_t first = blockIdx.x * kTile;
  const int64_t key = first + row;
  const int64_t group = shape.heads / shape.kv_heads;
  const Place at = PlaceOf(shape, blockIdx.z);
  const T* rows = qkv + at.row * at.stride;
  const int64_t key_column = (shape.heads + blockIdx.y) * at.size;
  const int64_t value_column = key_column + shape.kv_heads * at.size;
  const int64_t out_stride = shape.heads * at.size;
  LoadTile(rows + key_column, at.stride, at.size, first, shape.time, k);
  LoadTile(rows + value_column, at.stride, at.size, first, shape.time, v);
  float dk[kPieces] = {};
  float dv[kPieces] = {};
  for (int64_t head = blockIdx.y * group; head < (blockIdx.y + 1) * group; ++head) {
    for (int64_t tile = first; tile < shape.time; tile += kTile) {
      const int64_t query = tile + part;
      const bool seen = key <= query && query < shape.time;
      const int64_t statistic = (blockIdx.z * shape.heads + head) * shape.time + query;
      __syncthreads();
      LoadTile(rows + head * at.size, at.stride, at.size, tile, shape.time, queries);
      __syncthreads();
      const float p = seen ? expf(scale * DotRows(queries[part], k[row], at.size) - lse[statistic]) : 0.0F;
      probabilities[row][part] = p;
      __syncthreads();
      LoadTile(dout + at.row * out_stride + head * at.size, out_stride, at.size, tile, shape.time, queries);
      __syncthreads();
      scores[row][part] = seen ? p * (DotRows(queries[part], v[row], at.size) - delta[statistic]) : 0.0F;
      for (int64_t j = 0; j < kTile; ++j) {
        for (int64_t i = 0; i < kPieces && part + i * kTile < at.size; ++i) {
          dv[i] += probabilities[row][j] * queries[j][part + i * kTile];
        }
      }
      __syncthreads();
      LoadTile(rows + head * at.size, at.stride, at.size, tile, shape.time, queries);
      __syncthreads();
      for (int64_t j = 0; j < kTile; ++j) {
        for (int64_t i = 0; i < kPieces && part + i * kTile < at.size; ++i) {
          dk[i] += scores[row][j] * queries[j][part + i * kTile];
        }
      }
    }
  }
  if (key >= shape.time) return;
  T* to = dqkv + (at.row + key) * at.stride;
  for (int64_t i = 0; i < kPieces && part + i * kTile < at.size; ++i) {
    Store(scale * dk[i], to + key_column + part + i * kTile);
    Store(dv[i], to + value_column + part + i * kTile);
  }
}

// Refuses what the kernels cannot do, and counts the blocks.
dim3 Blocks(const AttentionShape& shape, int64_t heads) {
  if (shape.head_size > kLargestHead) {
    throw std::runtime_error("attention on GPUs has heads of at most " + std::to_string(kLargestHead) +
                             " elements; this model's have " + std::to_string(shape.head_size));
  }
  return {static_cast<unsigned>((shape.time + kTile - 1) / kTile), static_cast<unsigned>(heads),
          static_cast<unsigned>(shape.batch)};
}

float ScaleOf(const AttentionShape& shape) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_size)));
}

}  // namespace

template <typename T>
void Attention(Stream stream, const AttentionShape& shape, const T* qkv, T* out, float* lse) {
  Launch(ForwardKernel<T>, Blocks(shape, shape.heads), stream, shape, ScaleOf(shape), qkv, out, lse);
}
template void Attention(Stream, const AttentionShape&, const float*, float*, float*);
template void Attention(Stream, const AttentionShape&, const Bf16*, Bf16*, float*);

template <typename T>
void AttentionBackward(Stream stream, const AttentionShape& shape, const T* qkv, const T* out,
                       const float* lse, const T* dout, float* delta, T* dqkv) {
  const float scale = ScaleOf(shape);
  Launch(DeltaKernel<T>, BlocksFor(shape.batch * shape.time * shape.heads), stream, shape, out, dout, delta);
  Launch(QueryKernel<T>, Blocks(shape, shape.heads), stream, shape, scale, qkv, lse, dout, delta, dqkv);
  Launch(KeyKernel<T>, Blocks(shape, shape.kv_heads), stream, shape, scale, qkv, lse, dout, delta, dqkv);
}
template void AttentionBackward(Stream, const AttentionShape&, const float*, const float*, const float*,
                                const float*, float*, float*);
template void AttentionBackward(Stream, const AttentionShape&, const Bf16*, const Bf16*, const float*,
                                const Bf16*, float*, Bf16*);

}  // namespace mixln::worker::trainer::cuda
