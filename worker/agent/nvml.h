// The machine's GPUs, through NVML loaded at run time: the same program runs where there is no driver.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mixln::worker::agent {

struct Gpu {
  int index = 0;
  std::string model;  // such as "NVIDIA H200"
  int64_t memory_bytes = 0;
};

// Empty where there is no NVIDIA driver or no GPU.
std::vector<Gpu> FindGpus();

}  // namespace mixln::worker::agent
