#include "worker/trainer/diagnostics/flops.h"

#include <gtest/gtest.h>

#include "worker/trainer/cpu/device.h"

namespace mixln::worker::trainer::diagnostics {
namespace {

TEST(Flops, FollowTheFormula) {
  // LLaMA 71m without its table of 32000·512: 70.6M - 16.4M = 54.2M parameters; by hand 6·54.2e6 +
  // 12·12·512·256.
  EXPECT_DOUBLE_EQ(
      FlopsPerToken({.parameters = 54'200'000, .layers = 12, .hidden_size = 512, .context = 256}),
      325'200'000 + 18'874'368);
}

TEST(Flops, ThePeakIsThatOfARealMachine) {
  for (const bool bf16 : {false, true}) {
    EXPECT_GT(MeasurePeakFlops(cpu::Cpu(), bf16), 1e8);
    EXPECT_LT(MeasurePeakFlops(cpu::Cpu(), bf16), 1e15);
  }
}

}  // namespace
}  // namespace mixln::worker::trainer::diagnostics
