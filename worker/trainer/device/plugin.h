// GPUs, by a plugin: a shared library with a device's table, which is loaded only where a GPU is asked for.
// So the trainer itself links nothing of CUDA's, and starts as fast and as small as without.
#pragma once

#include "worker/trainer/device/device.h"

namespace mixln::worker::trainer::device {

// What a plugin is asked for.
struct OpenOptions {
  int gpu = 0;                // number of the GPU, as nvidia-smi counts
  bool deterministic = true;  // only kernels that give the same bits in each run
};

// What a plugin exports, as kOpenFunction: the table for a GPU, for the life of the process. Throws
// error::ConfigError where there is no such GPU that it can use.
using OpenFunction = const Device* (*)(const OpenOptions& options);
inline constexpr char kOpenFunction[] = "MixlnOpenDevice";

// The GPU, by the plugin lib/libmixln_cuda.so beside the program's folder, or the one that the environment's
// MIXLN_GPU_PLUGIN names. Throws error::ConfigError, also where there is no plugin.
const Device& OpenGpu(int gpu, bool deterministic);

}  // namespace mixln::worker::trainer::device
