// Writes checkpoints beside the training: a thread of its own copies the state, which training only changes
// in an update, and brings the copy to disk. One is on its way at a time.
#pragma once

#include <functional>
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

// How the ranks that write a checkpoint together tell each other of their files. One rank has none to tell.
struct Peers {
  int rank = 0;
  int world_size = 1;
  // Sets a small text by name, for all ranks; and waits until one is set. Called by the writer's thread.
  std::function<void(const std::string& name, const std::string& text)> publish;
  std::function<std::string(const std::string& name)> get;
};

// Writes this rank's file of a checkpoint, and, as rank 0, once all ranks' files are durable, manifest.json.
// Each step is durable before the next, so a crash of any rank at any moment leaves a folder that has no
// manifest, or a whole one. `manifest.files` is filled in. Nothing is returned on the other ranks.
std::optional<Written> WriteCheckpoint(const std::string& attempt_dir, Manifest manifest,
                                       const std::vector<engine::NamedState>& states, const Peers& peers,
                                       const file::WriteOptions& options);

class CheckpointWriter {
 public:
  explicit CheckpointWriter(std::string attempt_dir, Peers peers = {}, file::WriteOptions options = {});
  // Waits for the one on its way.
  ~CheckpointWriter() = default;

  // Starts to copy the states, which are the same parameters each time, and then to write them. None may be
  // on its way: call Wait first.
  void Start(Manifest manifest, std::vector<engine::NamedState> states);

  // Until they are copied: before anyone writes into them.
  void AwaitCopy();

  // The one on its way if it is done; else nothing, and nothing on ranks other than 0. Throws what the
  // writing threw.
  std::optional<Written> Poll();
  // The same, once it is done. Throws what the writing threw.
  std::optional<Written> Wait();

 private:
  void Copy(const std::vector<engine::NamedState>& states);

  std::string attempt_dir_;
  Peers peers_;
  file::WriteOptions options_;
  // The copy, kept from one checkpoint to the next: fresh memory would cost more time than copying does.
  std::vector<engine::NamedState> snapshot_;
  std::future<void> copied_;
  std::future<std::optional<Written>> under_way_;
};

}  // namespace mixln::worker::trainer::checkpoint
