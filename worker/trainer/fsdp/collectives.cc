#include "worker/trainer/fsdp/collectives.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "worker/trainer/fsdp/gloo.h"
#include "worker/trainer/fsdp/host_memory.h"
#include "worker/trainer/fsdp/shared_memory.h"
#include "worker/trainer/kernels/elementwise.h"

namespace mixln::worker::trainer::fsdp {

void Collectives::Sum(std::span<double> numbers) {
  Sum(at::from_blob(numbers.data(), {static_cast<int64_t>(numbers.size())}, at::dtype(at::kDouble)));
}

std::unique_ptr<Collectives> Connect(const RankOptions& options) {
  auto rendezvous = std::make_shared<Rendezvous>(options);
  if (auto memory = HostMemory::Share(*rendezvous)) return JoinByMemory(rendezvous, std::move(memory));
  return JoinByGloo(rendezvous);
}

void AddInOrder(float* to, const std::vector<const float*>& parts, int64_t count) {
  constexpr int64_t kBlock = 4096;  // stays in the first cache while all parts are added to it
  at::parallel_for(0, (count + kBlock - 1) / kBlock, 8, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kBlock;
      const int64_t size = std::min(kBlock, count - first);
      for (const float* part : parts) kernels::AddTo(to + first, 1.0F, part + first, 1.0F, to + first, size);
    }
  });
}

}  // namespace mixln::worker::trainer::fsdp
