#include "worker/trainer/fsdp/buffer_pool.h"

#include <algorithm>

namespace mixln::worker::trainer::fsdp {
namespace {

// Elements of the whole buffer that `buffer` begins.
int64_t Capacity(const at::Tensor& buffer) {
  return static_cast<int64_t>(buffer.storage().nbytes()) / buffer.element_size();
}

}  // namespace

at::Tensor BufferPool::Take(int64_t elements, at::ScalarType type) {
  auto best = free_.end();
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->scalar_type() != type || Capacity(*it) < elements) continue;
    if (best == free_.end() || Capacity(*it) < Capacity(*best)) best = it;
  }
  if (best == free_.end()) return ranks_.Allocate(elements, type);
  const at::Tensor buffer = *best;
  free_.erase(best);
  return buffer.as_strided({elements}, {1}, 0);
}

void BufferPool::Give(at::Tensor& buffer) {
  free_.push_back(std::move(buffer));
  buffer = at::Tensor();
}

}  // namespace mixln::worker::trainer::fsdp
