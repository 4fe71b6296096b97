// Finds what to go on or to start from, and loads it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "worker/trainer/checkpoint/manifest.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/device/device.h"
#include "worker/trainer/engine/engine.h"

namespace mixln::worker::trainer::loop {

struct Progress {
  int64_t step = 0;                      // updates done
  int64_t tokens = 0;                    // trained on, padding left out
  std::string folder;                    // of the checkpoint or model; empty: the initial weights
  bool own = false;                      // whether it is this attempt's
  checkpoint::LossHistory loss_history;  // as of `step`
};

// Is told the folder of each checkpoint that turns out to be damaged.
using OnDamaged = std::function<void(const std::string& folder)>;

// Loads into the engine, in this order: this attempt's own newest complete checkpoint (there is one when the
// rank was restarted under the same fence), and older ones of its own where a newer is damaged; then
// resume_from; then, at step 0, the model in init.from; else nothing is loaded. `vocab_size` and `windows`:
// of the data set and in the training set. What the rank must say about a difference, or a checkpoint passed
// over, goes to the log. Throws error::ConfigError for a checkpoint or model of another kind,
// error::InputOutputError for one that cannot be read, for a damaged resume_from too, and error::DataError
// for an init.from that makes no sense.
Progress Resume(const config::TrialConfig& config, const device::Device& device, int64_t vocab_size,
                int64_t windows, engine::Engine& engine, const OnDamaged& damaged);

}  // namespace mixln::worker::trainer::loop
