// What trial.json asks for, turned into what the engine and a checkpoint's manifest take; refuses what this
// release cannot do.
#pragma once

#include <memory>
#include <string>

#include "worker/shards/dataset.h"
#include "worker/trainer/checkpoint/manifest.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/device/device.h"
#include "worker/trainer/engine/engine.h"
#include "worker/trainer/fsdp/collectives.h"

namespace mixln::worker::trainer::loop {

// Throws error::ConfigError when the spec's vocabulary is not the data set's.
void CheckSupported(const config::TrialConfig& config, const shards::Dataset& dataset);

// What this rank computes on: the GPU that its agent gave it, or the CPU. Throws error::ConfigError.
const device::Device& OpenDevice(const config::TrialConfig& config);

// For people: "cpu avx512, 2 threads".
std::string Describe(const device::Device& device, const config::TrialConfig& config);

// Brings the ranks of an attempt together; none for one rank. Rank 0's listening socket is the descriptor
// that the environment's MIXLN_RENDEZVOUS_FD names. Throws error::PeerLostError.
std::unique_ptr<fsdp::Collectives> ConnectRanks(const config::TrialConfig& config,
                                                const device::Device& device);

// Sizes, placements and the optimizer. A vocab_size of 0 becomes the data set's.
engine::EngineOptions MakeEngineOptions(const config::Spec& spec, const shards::Dataset& dataset);

// The manifest of a checkpoint after `step` updates on `tokens` tokens, without files. `windows`: in the
// training set.
checkpoint::Manifest MakeManifest(const config::TrialConfig& config, const device::Device& device,
                                  int64_t windows, int64_t step, int64_t tokens);

}  // namespace mixln::worker::trainer::loop
