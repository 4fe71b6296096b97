#include "worker/trainer/loop/memory.h"

#include <gmock/gmock.h>

#include "worker/trainer/cpu/device.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::loop {
namespace {

// llama-71m with the paper's vocabulary: 12 layers of 4·512² + 3·512·1368 and two tables of 32000·512.
engine::EngineOptions Llama71M() {
  engine::EngineOptions options;
  options.vocab_size = 32000;
  options.hidden_size = 512;
  options.intermediate_size = 1368;
  options.layers = 12;
  options.heads = 8;
  options.kv_heads = 8;
  options.bf16 = true;
  return options;
}

config::TrialConfig Trial() {
  config::TrialConfig config;
  config.world_size = 1;
  config.spec.data.context = 256;
  config.spec.train.batch = {.sequences = 8};
  return config;
}

TEST(Memory, RefusesATrialThatCannotFitAndSaysHowMuchItNeeds) {
  // 18 bytes for each of 70,565,888 matrix elements: 1.27 GB; a token keeps 8·512 + 2·(6·512 + 3·1368) =
  // 18,448 bytes, and 2048 of them in 12 layers 0.45 GB.
  CheckMemory(Trial(), Llama71M(), false, 2'000'000'000);
  try {
    CheckMemory(Trial(), Llama71M(), false, 1'000'000'000);
    FAIL() << "accepted";
  } catch (const error::OutOfMemoryError& problem) {
    EXPECT_THAT(problem.what(), testing::HasSubstr("at least 1.7 GB on this rank (1.3 GB for parameters"));
    EXPECT_THAT(problem.what(),
                testing::HasSubstr("0.5 GB for 8 sequences at once), but 1.0 GB are available"));
  }
}

TEST(Memory, RanksAndCheckpointingNeedLess) {
  config::TrialConfig four = Trial();
  four.world_size = 4;
  CheckMemory(four, Llama71M(), false, 500'000'000);
  engine::EngineOptions checkpointed = Llama71M();
  checkpointed.activation_checkpointing = true;
  CheckMemory(Trial(), checkpointed, false, 1'400'000'000);
}

TEST(Memory, RanksThatShareMemoryKeepOneCopyOfTheParameters) {
  config::TrialConfig four = Trial();
  four.world_size = 4;
  engine::EngineOptions options = Llama71M();
  options.reshard_after_forward = false;  // with copies of their own: 2 bytes for each of 70.6 million more
  CheckMemory(four, options, true, 480'000'000);
  EXPECT_THROW(CheckMemory(four, options, false, 480'000'000), error::OutOfMemoryError);
}

TEST(Memory, ThisMachineHasSome) {
  EXPECT_GT(cpu::Cpu().available_bytes(), 1'000'000);
}

}  // namespace
}  // namespace mixln::worker::trainer::loop
