#include "worker/trainer/fsdp/gloo.h"

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <chrono>
#include <utility>

#include "worker/trainer/fsdp/process_group.h"
#include "worker/trainer/fsdp/store.h"

namespace mixln::worker::trainer::fsdp {
std::unique_ptr<Collectives> JoinByGloo(std::shared_ptr<Rendezvous> rendezvous,
                                        const device::Device& device) {
  const RankOptions& ranks = rendezvous->options();
  try {
    const auto gloo = c10d::ProcessGroupGloo::Options::create(
        std::chrono::duration_cast<std::chrono::milliseconds>(ranks.timeout));
    gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(ranks.address));
    auto group = c10::make_intrusive<c10d::ProcessGroupGloo>(rendezvous->store().c10d, ranks.rank,
                                                             ranks.world_size, gloo);
    return JoinByProcessGroup(std::move(rendezvous), {"Gloo", std::move(group)}, device);
  } catch (const std::exception& problem) {
    ThrowNotTogether(ranks, problem);
  }
}

}  // namespace mixln::worker::trainer::fsdp
