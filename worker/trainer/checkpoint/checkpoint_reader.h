// Finds and loads checkpoints, and refuses those of another model.
#pragma once

#include <string>
#include <vector>

#include "worker/trainer/checkpoint/manifest.h"
#include "worker/trainer/engine/engine.h"

namespace mixln::worker::trainer::checkpoint {

// Folders of all complete checkpoints of an attempt, newest first. Throws error::InputOutputError where a
// disk or network does not let it look: a rank that took this for none would start anew.
std::vector<std::string> ListCheckpoints(const std::string& attempt_dir);

// Reads manifest.json of a checkpoint's folder. Throws error::InputOutputError that names
// it, DamagedError when it is gone or corrupted.
Manifest ReadManifest(const std::string& folder);

// Compares a checkpoint with the trial that wants to go on from it; `trial` is the manifest that the trial
// would write at the checkpoint's step. Throws error::ConfigError when it is of another model, data order or
// optimization: the words say both sides. Returns sentences on differences that allow going on, but not bit
// for bit (threads, instruction set, device, precision, micro-batches, world size).
std::vector<std::string> Compare(const std::string& folder, const Manifest& checkpoint,
                                 const Manifest& trial);

// Copies into `states` what this rank owns of masters and moments, whatever the world size of the ranks that
// wrote them. Throws DamagedError when a file is missing or corrupted, and error::ConfigError when
// tensors are missing, too many, or of another shape; all is verified before the first element is copied.
void Load(const std::string& folder, const Manifest& checkpoint,
          const std::vector<engine::NamedState>& states);

}  // namespace mixln::worker::trainer::checkpoint
