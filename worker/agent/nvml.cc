#include "worker/agent/nvml.h"

#include <dlfcn.h>

#include <memory>

namespace mixln::worker::agent {
namespace {

// The part of nvml.h that is needed here (NVML API reference: stable since driver 450).
using NvmlDevice = void*;
struct NvmlMemory {
  unsigned long long total, free, used;
};
constexpr int kNvmlSuccess = 0;
constexpr unsigned kNvmlNameBytes = 96;

template <typename Function>
Function* Load(void* library, const char* name) {
  return reinterpret_cast<Function*>(dlsym(library, name));
}

}  // namespace

std::vector<Gpu> FindGpus() {
  const std::unique_ptr<void, int (*)(void*)> library(
      dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL),
      [](void* handle) { return handle == nullptr ? 0 : dlclose(handle); });
  if (!library) return {};
  auto* init = Load<int()>(library.get(), "nvmlInit_v2");
  auto* shutdown = Load<int()>(library.get(), "nvmlShutdown");
  auto* count_devices = Load<int(unsigned*)>(library.get(), "nvmlDeviceGetCount_v2");
  auto* get_device = Load<int(unsigned, NvmlDevice*)>(library.get(), "nvmlDeviceGetHandleByIndex_v2");
  auto* get_name = Load<int(NvmlDevice, char*, unsigned)>(library.get(), "nvmlDeviceGetName");
  auto* get_memory = Load<int(NvmlDevice, NvmlMemory*)>(library.get(), "nvmlDeviceGetMemoryInfo");
  if (!init || !shutdown || !count_devices || !get_device || !get_name || !get_memory ||
      init() != kNvmlSuccess)
    return {};
  std::vector<Gpu> gpus;
  unsigned count = 0;
  if (count_devices(&count) != kNvmlSuccess) count = 0;
  for (unsigned i = 0; i < count; ++i) {
    NvmlDevice device = nullptr;
    NvmlMemory memory{};
    char name[kNvmlNameBytes] = {};
    if (get_device(i, &device) != kNvmlSuccess || get_name(device, name, sizeof name) != kNvmlSuccess ||
        get_memory(device, &memory) != kNvmlSuccess)
      continue;
    gpus.push_back({static_cast<int>(i), name, static_cast<int64_t>(memory.total)});
  }
  shutdown();
  return gpus;
}

}  // namespace mixln::worker::agent
