#include <ATen/Parallel.h>

#include <algorithm>

#include "worker/trainer/cpu/operations.h"

namespace mixln::worker::trainer::cpu {

void Embed(const at::Tensor& table, const at::Tensor& tokens, const at::Tensor& out) {
  const int64_t hidden = table.size(1);
  const float* from = table.const_data_ptr<float>();
  const int64_t* ids = tokens.const_data_ptr<int64_t>();
  float* to = out.data_ptr<float>();
  for (int64_t row = 0; row < tokens.size(0); ++row)
    std::copy_n(from + ids[row] * hidden, hidden, to + row * hidden);
}

void EmbedBackward(const at::Tensor& dx, const at::Tensor& tokens, const at::Tensor& gradient) {
  constexpr int64_t kColumns = 64;
  const int64_t hidden = dx.size(1);
  const float* from = dx.const_data_ptr<float>();
  const int64_t* ids = tokens.const_data_ptr<int64_t>();
  float* to = gradient.data_ptr<float>();
  at::parallel_for(0, hidden, kColumns, [&](int64_t begin, int64_t end) {
    for (int64_t row = 0; row < tokens.size(0); ++row) {
      for (int64_t c = begin; c < end; ++c) to[ids[row] * hidden + c] += from[row * hidden + c];
    }
  });
}

}  // namespace mixln::worker::trainer::cpu
