#pragma once

#include <memory>
#include <string>

#include "base/time/time.h"
#include "worker/trainer/fsdp/collectives.h"

namespace mixln::worker::trainer::fsdp {

struct GlooOptions {
  int rank = 0;
  int world_size = 1;
  std::string rendezvous;  // host:port where rank 0 listens
  int listening_fd = -1;   // rank 0: its socket, already listening there; -1: it makes one
  std::string address;     // an address of this host that the other ranks can reach
  std::string group;       // of this attempt only: an old rank with another one is never heard
  // For all to come together, and for any one collective: far above what a rank may fall behind, as its only
  // use is that a hang that nothing else ends comes to an end.
  base::Duration timeout = base::Seconds(300);
};

// Brings the ranks together over TCP, for tensors on CPUs. Throws error::PeerLostError when they do not all
// come.
std::unique_ptr<Collectives> ConnectGloo(const GlooOptions& options);

}  // namespace mixln::worker::trainer::fsdp
