#include "worker/trainer/cpu/device.h"

#include <ATen/Version.h>

#include <algorithm>
#include <cctype>

#include "worker/trainer/attention/attention.h"
#include "worker/trainer/cpu/memory.h"
#include "worker/trainer/cpu/operations.h"
#include "worker/trainer/gemm/product.h"

namespace mixln::worker::trainer::cpu {
namespace {

// In lower case, as at::get_cpu_capability() names it: "default", "avx2", "avx512".
std::string InstructionSet() {
  std::string name = at::get_cpu_capability();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

}  // namespace

const device::Device& Cpu() {
  static const device::Device cpu{
      .place = at::Device(at::kCPU),
      .kind = "cpu",
      .instruction_set = InstructionSet(),
      .model = "cpu " + InstructionSet(),
      .peak_size = 512,  // and short enough to be done at times between two other processes
      .operand = gemm::Operand,
      .prepare = Prepare,
      .multiply = Multiply,
      .multiply_and_add = MultiplyAndAdd,
      .attend = attention::Forward,
      .attend_backward = attention::Backward,
      .rotate = Rotate,
      .swiglu = Swiglu,
      .swiglu_backward = SwigluBackward,
      .norm = Norm,
      .norm_backward = NormBackward,
      .scale = Scale,
      .add = Add,
      .scale_channels = ScaleChannels,
      .scale_channels_backward = ScaleChannelsBackward,
      .sum_outputs = SumOutputs,
      .sum_outputs_backward = SumOutputsBackward,
      .sums = SumsOf,
      .embed = Embed,
      .embed_backward = EmbedBackward,
      .cross_entropy = CrossEntropy,
      .adamw = AdamW,
      .sum_of_squares = SumOfSquares,
      .add_in_order = AddInOrder,
      .synchronize = [] {},
      .available_bytes = AvailableBytes,
      .peak_bytes = PeakBytes,
      .join = nullptr,
  };
  return cpu;
}

}  // namespace mixln::worker::trainer::cpu
