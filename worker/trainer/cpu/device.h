#pragma once

#include "worker/trainer/device/device.h"

namespace mixln::worker::trainer::cpu {

// The CPU, on at::get_num_threads() threads: worker/trainer/kernels, gemm and attention spread over threads.
// Sums are taken over fixed blocks, so results do not depend on the number of threads. Operations are done
// when they return.
const device::Device& Cpu();

}  // namespace mixln::worker::trainer::cpu
