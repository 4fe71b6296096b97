// Writes checkpoints beside the training: a copy of the state is taken at once, and a thread of its own
// brings it to disk. One is on its way at a time.
#pragma once

#include <future>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/checkpoint/manifest.h"
#include "worker/trainer/engine/engine.h"
#include "worker/trainer/file/patient_write.h"

namespace mixln::worker::trainer::checkpoint {

// A checkpoint that is whole and durable.
struct Written {
  int64_t step = 0;
  std::string path;  // below the attempt's folder
  int64_t size_bytes = 0;
};

// `checkpoints/step-<9 digits>`, below the attempt's folder.
std::string CheckpointPath(int64_t step);

// What Written says of a complete checkpoint's folder that a process before this one wrote.
Written Describe(const std::string& folder, int64_t step);

// Writes a checkpoint of one rank: its file first, each step durable before the next, manifest.json last, so
// a crash at any moment leaves a folder that has no manifest, or a whole one. `manifest.files` is filled in.
Written WriteCheckpoint(const std::string& attempt_dir, Manifest manifest,
                        const std::vector<engine::NamedState>& states, const file::WriteOptions& options);

class CheckpointWriter {
 public:
  explicit CheckpointWriter(std::string attempt_dir, file::WriteOptions options = {});
  // Waits for the one on its way.
  ~CheckpointWriter() = default;

  // Copies the states and starts to write them. None may be on its way: call Wait first.
  void Start(Manifest manifest, const std::vector<engine::NamedState>& states);

  // The one on its way if it is done; else nothing. Throws what the writing threw.
  std::optional<Written> Poll();
  // The one on its way, once it is done; nothing if there is none. Throws what the writing threw.
  std::optional<Written> Wait();

 private:
  std::string attempt_dir_;
  file::WriteOptions options_;
  std::future<Written> under_way_;
};

}  // namespace mixln::worker::trainer::checkpoint
