#include "worker/trainer/loop/setup.h"

#include <cstdlib>

#include "worker/trainer/cpu/device.h"
#include "worker/trainer/data/training_set.h"
#include "worker/trainer/device/plugin.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::loop {

void CheckSupported(const config::TrialConfig& config, const shards::Dataset& dataset) {
  const int32_t vocab_size = config.spec.model.vocab_size;
  if (vocab_size != 0 && vocab_size != dataset.vocab_size) {
    throw error::ConfigError("spec.model.vocab_size: is " + std::to_string(vocab_size) +
                             ", but the data set in " + config.dataset_dir + " has " +
                             std::to_string(dataset.vocab_size) +
                             " token ids; leave it at 0 to take the tokenizer's");
  }
}

const device::Device& OpenDevice(const config::TrialConfig& config) {
  return config.gpu < 0 ? cpu::Cpu() : device::OpenGpu(config.gpu, config.spec.train.deterministic);
}

std::string Describe(const device::Device& device, const config::TrialConfig& config) {
  return device.model + (config.gpu < 0 ? ", " + std::to_string(config.threads) + " threads" : "");
}

std::unique_ptr<fsdp::Collectives> ConnectRanks(const config::TrialConfig& config,
                                                const device::Device& device) {
  if (config.world_size == 1) return nullptr;
  fsdp::RankOptions options;
  options.rank = config.rank;
  options.world_size = config.world_size;
  options.rendezvous = config.rendezvous;
  options.address = config.address;
  options.group =
      config.trial_id + "/" + std::to_string(config.fence.term) + "-" + std::to_string(config.fence.epoch);
  const char* fd = std::getenv("MIXLN_RENDEZVOUS_FD");
  if (config.rank == 0 && fd != nullptr) options.listening_fd = std::atoi(fd);
  return fsdp::Connect(options, device);
}

engine::EngineOptions MakeEngineOptions(const config::Spec& spec, const shards::Dataset& dataset) {
  engine::EngineOptions options;
  options.vocab_size = dataset.vocab_size;
  options.hidden_size = spec.model.hidden_size;
  options.intermediate_size = spec.model.intermediate_size;
  options.layers = spec.model.layers;
  options.heads = spec.model.heads;
  options.kv_heads = spec.model.kv_heads == 0 ? spec.model.heads : spec.model.kv_heads;
  options.rope_theta = spec.model.rope_theta;
  options.norm_eps = spec.model.norm_eps;
  options.tie_embeddings = spec.model.tie_embeddings;
  for (const std::string& name : spec.norm.layer_placements) {
    options.placements.push_back(norm::ParsePlacement(name));
  }
  options.norm_kind = spec.norm.kind == "layernorm" ? norm::Kind::kLayer : norm::Kind::kRms;
  options.init_std = spec.init.std;
  options.embedding_std = spec.init.embedding_std;
  options.scaled_init = spec.init.scaled;
  options.seed = static_cast<uint64_t>(spec.train.seed);
  options.bf16 = spec.train.precision == config::Precision::kBf16;
  options.beta1 = spec.train.beta1;
  options.beta2 = spec.train.beta2;
  options.adam_eps = spec.train.adam_eps;
  options.weight_decay = spec.train.weight_decay;
  options.clip_norm = spec.train.clip_norm;
  options.context = spec.data.context;
  options.accumulate = spec.sharding.accumulate == config::Accumulate::kNoSync
                           ? fsdp::Accumulate::kNoSync
                           : fsdp::Accumulate::kReduceEach;
  options.reshard_after_forward = spec.sharding.reshard_after_forward;
  options.activation_checkpointing = spec.sharding.activation_checkpointing;
  return options;
}

checkpoint::Manifest MakeManifest(const config::TrialConfig& config, const device::Device& device,
                                  int64_t windows, int64_t step, int64_t tokens) {
  const data::Position position = data::PositionOf(step, config.spec.train.batch.sequences, windows);
  checkpoint::Manifest manifest;
  manifest.trial_id = config.trial_id;
  manifest.term = config.fence.term;
  manifest.epoch = config.fence.epoch;
  manifest.step = step;
  manifest.tokens = tokens;
  manifest.data_epoch = position.epoch;
  manifest.data_offset = position.offset;
  manifest.data_windows = windows;
  manifest.layer_placements = config.spec.norm.layer_placements;
  manifest.spec_json = config.spec_json;
  manifest.precision = config.spec.train.precision == config::Precision::kBf16 ? "bf16" : "fp32";
  manifest.device = device.kind;
  manifest.instruction_set = device.instruction_set;
  manifest.threads = config.threads;
  manifest.world_size = config.world_size;
  return manifest;
}

}  // namespace mixln::worker::trainer::loop
