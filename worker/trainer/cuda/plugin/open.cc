#include <memory>
#include <string>

#include "worker/trainer/cuda/plugin/driver.h"
#include "worker/trainer/cuda/plugin/operations.h"
#include "worker/trainer/device/plugin.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::cuda {
namespace {

constexpr int kOldestMajor = 8;  // what the build compiles for begins with sm_80

[[noreturn]] void Refuse(int gpu, const std::string& why) {
  throw error::ConfigError("gpu: is " + std::to_string(gpu) + ", but " + why);
}

Gpu Choose(int number) {
  const Machine machine = FindGpus();
  if (machine.gpus == 0) {
    Refuse(number, machine.problem.empty() ? "this machine has no GPU; train on CPUs, or on another worker"
                                           : machine.problem);
  }
  if (number >= machine.gpus) {
    Refuse(number, "this machine has " + std::to_string(machine.gpus) + ", which are counted from 0");
  }
  Gpu gpu = Describe(number);
  if (gpu.major < kOldestMajor) {
    Refuse(number, "that GPU (" + gpu.model + ") has compute capability " + std::to_string(gpu.major) + "." +
                       std::to_string(gpu.minor) + "; 8.0 (A100) or later is needed");
  }
  return gpu;
}

std::unique_ptr<const device::Device> Open(const Gpu& gpu, const device::OpenOptions& options) {
  const std::string set = "sm_" + std::to_string(gpu.major) + std::to_string(gpu.minor);
  return std::make_unique<const device::Device>(device::Device{
      .place = Use(options.gpu, options.deterministic),
      .kind = "cuda",
      .instruction_set = set,
      .model = gpu.model + " (" + set + ")",
      .peak_size = gpu.peak_size,
      .operand = [](const at::Tensor& tensor) { return tensor; },
      .prepare =
          [](const device::Matrix& right) {
            return device::Factor{right, nullptr};
          },
      .multiply = entries::Multiply,
      .add_weight_gradient = entries::AddWeightGradient,
      .attend = entries::Attend,
      .attend_backward = entries::AttendBackward,
      .rotate = entries::Rotate,
      .swiglu = entries::Swiglu,
      .swiglu_backward = entries::SwigluBackward,
      .norm = entries::Norm,
      .norm_backward = entries::NormBackward,
      .scale = entries::Scale,
      .add = entries::Add,
      .scale_channels = entries::ScaleChannels,
      .scale_channels_backward = entries::ScaleChannelsBackward,
      .sum_outputs = entries::SumOutputs,
      .sum_outputs_backward = entries::SumOutputsBackward,
      .sums = entries::SumsOf,
      .embed = entries::Embed,
      .embed_backward = entries::EmbedBackward,
      .cross_entropy = entries::CrossEntropy,
      .adamw = entries::AdamW,
      .sum_of_squares = entries::SumOfSquares,
      .add_in_order = entries::AddInOrder,
      .synchronize = Synchronize,
      .available_bytes = AvailableBytes,
      .peak_bytes = PeakBytes,
      .join = Join,
  });
}

}  // namespace
}  // namespace mixln::worker::trainer::cuda

extern "C" __attribute__((visibility("default"))) const mixln::worker::trainer::device::Device*
MixlnOpenDevice(const mixln::worker::trainer::device::OpenOptions& options) {
  namespace cuda = mixln::worker::trainer::cuda;
  const cuda::Gpu gpu = cuda::Choose(options.gpu);
  static const auto device = cuda::Open(gpu, options);  // a process has one GPU, for its life
  return device.get();
}
