#pragma once

#include <memory>

#include "worker/trainer/fsdp/collectives.h"

namespace mixln::worker::trainer::fsdp {

// Ranks on any hosts, over TCP, for tensors on CPUs. Throws error::PeerLostError when they do not all come.
std::unique_ptr<Collectives> JoinByGloo(std::shared_ptr<Rendezvous> rendezvous, const device::Device& device);

}  // namespace mixln::worker::trainer::fsdp
