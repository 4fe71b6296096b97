#pragma once

#include <c10/util/intrusive_ptr.h>

#include <memory>
#include <string>

#include "worker/trainer/device/device.h"
#include "worker/trainer/fsdp/collectives.h"

namespace mixln::worker::trainer::fsdp {

// Collectives of one of c10d's process groups, by all-gathers and all-to-alls.
struct ProcessGroup {
  std::string name;  // "Gloo", "NCCL"
  c10::intrusive_ptr<c10d::Backend> backend;
  // Whether its work is done when a wait for it returns. Else the device's later operations wait for it, and
  // the host goes on.
  bool host_waits = true;
};
std::unique_ptr<Collectives> JoinByProcessGroup(std::shared_ptr<Rendezvous> rendezvous, ProcessGroup group,
                                                const device::Device& device);

// As the device joins them. Throws error::PeerLostError when they do not all come.
std::unique_ptr<Collectives> JoinByDevice(std::shared_ptr<Rendezvous> rendezvous,
                                          const device::Device& device);

}  // namespace mixln::worker::trainer::fsdp
