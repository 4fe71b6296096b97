#include "worker/trainer/fsdp/collectives.h"

#include <ATen/Functions.h>

#include "worker/trainer/fsdp/gloo.h"
#include "worker/trainer/fsdp/host_memory.h"
#include "worker/trainer/fsdp/process_group.h"
#include "worker/trainer/fsdp/shared_memory.h"

namespace mixln::worker::trainer::fsdp {

void Collectives::Sum(std::span<double> numbers) {
  Sum(at::from_blob(numbers.data(), {static_cast<int64_t>(numbers.size())}, at::dtype(at::kDouble)));
}

std::unique_ptr<Collectives> Connect(const RankOptions& options, const device::Device& device) {
  auto rendezvous = std::make_shared<Rendezvous>(options);
  if (device.join != nullptr) return JoinByDevice(rendezvous, device);
  if (auto memory = HostMemory::Share(*rendezvous))
    return JoinByMemory(rendezvous, std::move(memory), device);
  return JoinByGloo(rendezvous, device);
}

}  // namespace mixln::worker::trainer::fsdp
