#pragma once

#include <memory>

#include "worker/trainer/fsdp/collectives.h"
#include "worker/trainer/fsdp/host_memory.h"

namespace mixln::worker::trainer::fsdp {

// Ranks of one host, which read each other's memory where it lies. Nothing is copied: whole parameters are
// common, and a rank sums its part of the gradients from the other ranks' own buffers.
std::unique_ptr<Collectives> JoinByMemory(std::shared_ptr<Rendezvous> rendezvous,
                                          std::unique_ptr<HostMemory> memory, const device::Device& device);

}  // namespace mixln::worker::trainer::fsdp
