#pragma once

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>

namespace mixln::worker::trainer::cpu {

inline constexpr int64_t kBlockRows = 64;

// Adds a sum over rows to a vector's gradient, fp32 [columns]: work(first, last, sums) adds the share of rows
// [first, last) to sums[columns]. Rows are summed in fixed blocks and those in order, so the result does not
// depend on the number of threads.
template <typename Work>
void AddSumOfRows(int64_t rows, const at::Tensor& gradient, Work work) {
  const int64_t columns = gradient.numel();
  const int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
  const at::Tensor partial = at::zeros({blocks, columns}, gradient.options());
  auto* sums = partial.data_ptr<float>();
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      work(block * kBlockRows, std::min(rows, (block + 1) * kBlockRows), sums + block * columns);
    }
  });
  auto* total = gradient.data_ptr<float>();
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t column = 0; column < columns; ++column) total[column] += sums[block * columns + column];
  }
}

}  // namespace mixln::worker::trainer::cpu
