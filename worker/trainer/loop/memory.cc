#include "worker/trainer/loop/memory.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <utility>

#include "worker/trainer/data/share.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::loop {
namespace {

std::string Gigabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GB", static_cast<double>(bytes) * 1e-9);
  return text;
}

int64_t Total(const engine::MemoryNeed& need) {
  return need.state_bytes + need.activation_bytes + need.copy_bytes;
}

// A line for each.
std::string ToText(const std::vector<Draw>& draws) {
  std::ostringstream text;
  for (const Draw& draw : draws) {
    text << draw.pool.name << ' ' << draw.pool.available_bytes << ' ' << draw.need.state_bytes << ' '
         << draw.need.activation_bytes << ' ' << draw.need.copy_bytes << ' ' << draw.rows << ' '
         << draw.pool.where << '\n';
  }
  return text.str();
}

void Parse(const std::string& text, std::vector<Draw>& draws) {
  std::istringstream lines(text);
  for (Draw draw; lines >> draw.pool.name >> draw.pool.available_bytes >> draw.need.state_bytes >>
                      draw.need.activation_bytes >> draw.need.copy_bytes >> draw.rows >> std::ws &&
                  std::getline(lines, draw.pool.where);) {
    draws.push_back(draw);
  }
}

[[noreturn]] void Refuse(const Draw& all, int ranks) {
  std::string parts;
  const auto add = [&](int64_t bytes, const std::string& what) {
    if (bytes > 0) parts += (parts.empty() ? "" : ", ") + Gigabytes(bytes) + " for " + what;
  };
  add(all.need.state_bytes, "parameters, gradients and optimizer");
  add(all.need.copy_bytes, "the copy that checkpoints are written from");
  add(all.need.activation_bytes, std::to_string(all.rows) + " sequences at once");
  const bool of_host = all.need.copy_bytes > 0;
  throw error::OutOfMemoryError(
      "the trial needs at least " + Gigabytes(Total(all.need)) + " " + all.pool.where +
      (ranks > 1 ? " for its " + std::to_string(ranks) + " ranks there" : "") + " (" + parts + "), but " +
      Gigabytes(all.pool.available_bytes) + " are available: " +
      (all.rows > 0 ? "lower train.batch.micro_sequences, use sharding.activation_checkpointing, or " : "") +
      (of_host ? "train on a host with more memory, or on several" : "more resources.ranks"));
}

}  // namespace

std::vector<Draw> DrawsOf(const config::TrialConfig& config, const engine::EngineOptions& options,
                          bool common_memory, const device::Device& device,
                          const std::vector<cpu::Pool>& host) {
  const config::Batch& batch = config.spec.train.batch;
  // A rank without rows computes one that is masked.
  const int64_t share =
      std::max<int64_t>(data::ShareOf(batch.sequences, config.rank, config.world_size).rows, 1);
  Draw draw;
  draw.rows = batch.micro_sequences > 0 ? std::min<int64_t>(batch.micro_sequences, share) : share;
  draw.need =
      engine::LeastMemory(options, draw.rows, config.spec.data.context, config.world_size, common_memory);
  std::vector<Draw> draws;
  if (config.gpu >= 0) {
    const std::string rank = std::to_string(config.rank);
    const int64_t copy_bytes = std::exchange(draw.need.copy_bytes, 0);
    draw.pool = {"gpu/" + rank, "on the GPU of rank " + rank, device.available_bytes()};
    draws.push_back(draw);
    draw.need = {0, 0, copy_bytes};
    draw.rows = 0;
  }
  for (const cpu::Pool& pool : host) {
    draw.pool = pool;
    draws.push_back(draw);
  }
  return draws;
}

std::vector<Draw> DrawsOfAll(const std::vector<Draw>& own, fsdp::Collectives& ranks) {
  const auto name = [](int rank) { return "draws/" + std::to_string(rank); };
  ranks.rendezvous().Publish(name(ranks.rank()), ToText(own));
  ranks.Barrier();  // which hears of a lost rank sooner than one who waits for its text
  std::vector<Draw> draws;
  for (int rank = 0; rank < ranks.world_size(); ++rank) Parse(ranks.rendezvous().Get(name(rank)), draws);
  ranks.Barrier();  // rank 0 has the texts, and might end
  return draws;
}

void CheckMemory(const std::vector<Draw>& draws) {
  std::map<std::string, std::vector<Draw>> pools;
  for (const Draw& draw : draws) pools[draw.pool.name].push_back(draw);
  for (const auto& [name, of_ranks] : pools) {
    Draw all;
    all.pool = of_ranks.front().pool;
    for (const Draw& draw : of_ranks) {
      all.pool.available_bytes = std::min(all.pool.available_bytes, draw.pool.available_bytes);
      all.need.state_bytes += draw.need.state_bytes;
      all.need.activation_bytes += draw.need.activation_bytes;
      all.need.copy_bytes += draw.need.copy_bytes;
      all.rows += draw.rows;
    }
    if (Total(all.need) > all.pool.available_bytes) Refuse(all, static_cast<int>(of_ranks.size()));
  }
}

}  // namespace mixln::worker::trainer::loop
