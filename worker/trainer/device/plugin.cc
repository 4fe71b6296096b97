#include "worker/trainer/device/plugin.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::device {
namespace {

std::string PluginPath() {
  if (const char* path = std::getenv("MIXLN_GPU_PLUGIN"); path != nullptr && *path != '\0') return path;
  std::error_code none;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", none);
  return (program.parent_path().parent_path() / "lib" / "libmixln_cuda.so").string();
}

[[noreturn]] void Refuse(int gpu, const std::string& why) {
  throw error::ConfigError("gpu: is " + std::to_string(gpu) + ", but " + why);
}

}  // namespace

const Device& OpenGpu(int gpu, bool deterministic) {
  const std::string path = PluginPath();
  if (!std::filesystem::exists(path)) {
    Refuse(gpu, "this build has no kernels for GPUs: " + path +
                    " is missing; run scripts/bootstrap --cuda and build again, or train on CPUs");
  }
  // For the life of the process: its operators stay registered with LibTorch.
  void* plugin = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) Refuse(gpu, "the plugin for GPUs cannot be loaded: " + std::string(dlerror()));
  const auto open = reinterpret_cast<OpenFunction>(dlsym(plugin, kOpenFunction));
  if (open == nullptr) Refuse(gpu, path + " is no plugin of this release: it has no " + kOpenFunction);
  return *open({gpu, deterministic});
}

}  // namespace mixln::worker::trainer::device
