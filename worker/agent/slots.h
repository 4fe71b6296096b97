// What this machine offers: its GPUs, else shares of the CPU cores that this process may use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mixln/v1/worker.pb.h"
#include "worker/agent/nvml.h"

namespace mixln::worker::agent {

struct Machine {
  std::vector<Gpu> gpus;
  std::vector<int> cpus;  // cores that this process may use
  std::string cpu_model;
  int64_t memory_bytes = 0;
};

// Asks the system.
Machine ReadMachine();

// One slot a GPU, or `count` shares of the cores (0: two where there are two cores, else one). Cores are
// divided evenly in contiguous runs, so that neighbours share a cache. INVALID_ARGUMENT for more slots than
// GPUs or cores.
absl::StatusOr<std::vector<v1::Slot>> MakeSlots(const Machine& machine, int count);

}  // namespace mixln::worker::agent
