#include <algorithm>
#include <numeric>

#include "worker/trainer/cuda/kernels.h"
#include "worker/trainer/cuda/launch.h"

namespace mixln::worker::trainer::cuda {
namespace {

using kernels::Load;
using kernels::Store;

// A block is a row.
template <typename From, typename To>
__global__ void ForwardKernel(const From* weight, const int64_t* tokens, To* out, int64_t columns) {
  const From* from = weight + tokens[blockIdx.x] * columns;
  To* to = out + static_cast<int64_t>(blockIdx.x) * columns;
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) Store(Load(from + c), to + c);
}

// A block is a token: no two blocks add to one row.
__global__ void BackwardKernel(const float* dout, const int64_t* tokens, const int64_t* begins,
                               const int64_t* positions, float* gradient, int64_t columns) {
  float* to = gradient + tokens[blockIdx.x] * columns;
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) {
    float sum = to[c];
    for (int64_t i = begins[blockIdx.x]; i < begins[blockIdx.x + 1]; ++i)
      sum += dout[positions[i] * columns + c];
    to[c] = sum;
  }
}

}  // namespace

template <typename From, typename To>
void Embedding(Stream stream, const From* weight, const int64_t* tokens, To* out, int64_t columns,
               int64_t rows) {
  if (rows == 0) return;
  Launch(ForwardKernel<From, To>, static_cast<unsigned>(rows), stream, weight, tokens, out, columns);
}
template void Embedding(Stream, const float*, const int64_t*, float*, int64_t, int64_t);
template void Embedding(Stream, const Bf16*, const int64_t*, float*, int64_t, int64_t);

TokenGroups GroupTokens(std::span<const int64_t> tokens) {
  TokenGroups groups;
  groups.positions.resize(tokens.size());
  std::iota(groups.positions.begin(), groups.positions.end(), int64_t{0});
  const auto token_at = [tokens](int64_t position) { return tokens[static_cast<size_t>(position)]; };
  std::stable_sort(groups.positions.begin(), groups.positions.end(),
                   [&](int64_t a, int64_t b) { return token_at(a) < token_at(b); });
  for (size_t i = 0; i < groups.positions.size(); ++i) {
    const int64_t token = token_at(groups.positions[i]);
    if (!groups.tokens.empty() && groups.tokens.back() == token) continue;
    groups.tokens.push_back(token);
    groups.begins.push_back(static_cast<int64_t>(i));
  }
  groups.begins.push_back(static_cast<int64_t>(groups.positions.size()));
  return groups;
}

void EmbeddingBackward(Stream stream, const float* dout, const int64_t* tokens, const int64_t* begins,
                       const int64_t* positions, int64_t groups, float* gradient, int64_t columns) {
  if (groups == 0) return;
  Launch(BackwardKernel, static_cast<unsigned>(groups), stream, dout, tokens, begins, positions, gradient,
         columns);
}

}  // namespace mixln::worker::trainer::cuda
