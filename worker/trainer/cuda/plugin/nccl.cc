#include <c10/util/intrusive_ptr.h>

#include <cstdlib>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "worker/trainer/cuda/plugin/driver.h"

namespace mixln::worker::trainer::cuda {

c10::intrusive_ptr<c10d::Backend> Join(const device::Meeting& meeting) {
  // A failed collective ends in an exception of the next one that the host waits for, so as PEER_LOST; the
  // default is that the watchdog ends the process.
  setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "2", /*overwrite=*/0);
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = meeting.timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(meeting.store, meeting.rank, meeting.world_size,
                                                     std::move(options));
}

}  // namespace mixln::worker::trainer::cuda
