#include "worker/trainer/norm/admin.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "worker/trainer/norm/post.h"

namespace mixln::worker::trainer::norm {

LayerForm AdminForm() {
  LayerForm form = PostForm();
  form.attention.omega = "attention_omega";
  form.mlp.omega = "mlp_omega";
  return form;
}

Moments& Moments::operator+=(const Moments& other) {
  sum += other.sum;
  sum_of_squares += other.sum_of_squares;
  count += other.count;
  return *this;
}

Moments MomentsOf(const at::Tensor& tensor) {
  constexpr int64_t kBlock = 65536;  // elements
  const int64_t size = tensor.numel();
  const float* x = tensor.const_data_ptr<float>();
  std::vector<Moments> blocks(static_cast<size_t>((size + kBlock - 1) / kBlock));
  at::parallel_for(0, static_cast<int64_t>(blocks.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      Moments& moments = blocks[static_cast<size_t>(block)];
      for (int64_t i = block * kBlock; i < std::min(size, (block + 1) * kBlock); ++i) {
        moments.sum += x[i];
        moments.sum_of_squares += static_cast<double>(x[i]) * x[i];
      }
    }
  });
  Moments all;
  for (const Moments& moments : blocks) all += moments;
  all.count = static_cast<double>(size);
  return all;
}

double Variance(const Moments& moments) {
  const double mean = moments.sum / moments.count;
  return moments.sum_of_squares / moments.count - mean * mean;
}

}  // namespace mixln::worker::trainer::norm
