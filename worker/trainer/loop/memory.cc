#include "worker/trainer/loop/memory.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "worker/trainer/data/share.h"
#include "worker/trainer/engine/memory.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::loop {
namespace {

std::string Gigabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GB", static_cast<double>(bytes) * 1e-9);
  return text;
}

}  // namespace

void CheckMemory(const config::TrialConfig& config, const engine::EngineOptions& options, bool common_memory,
                 int64_t available_bytes) {
  const config::Batch& batch = config.spec.train.batch;
  const int64_t share = data::ShareOf(batch.sequences, 0, config.world_size).rows;
  const int64_t rows = batch.micro_sequences > 0 ? std::min<int64_t>(batch.micro_sequences, share) : share;
  const engine::MemoryNeed need =
      engine::LeastMemory(options, rows, config.spec.data.context, config.world_size, common_memory);
  if (need.total_bytes() <= available_bytes) return;
  throw error::OutOfMemoryError("the trial needs at least " + Gigabytes(need.total_bytes()) +
                                " on this rank (" + Gigabytes(need.state_bytes) +
                                " for parameters, gradients and optimizer, " +
                                Gigabytes(need.activation_bytes) + " for " + std::to_string(rows) +
                                " sequences at once), but " + Gigabytes(available_bytes) +
                                " are available: lower train.batch.micro_sequences, use "
                                "sharding.activation_checkpointing, or more resources.ranks");
}

}  // namespace mixln::worker::trainer::loop
