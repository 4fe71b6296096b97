#include "worker/trainer/checkpoint/checkpoint_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/file/unique_fd.h"
#include "worker/trainer/checkpoint/tensor_file.h"

namespace mixln::worker::trainer::checkpoint {
namespace {

void WriteManifest(const std::string& path, const std::string& text, const file::WriteOptions& options) {
  const std::string temporary = path + ".tmp";
  base::UniqueFd fd(static_cast<int>(file::Patiently("make", temporary, options, [&] {
    return static_cast<ssize_t>(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  })));
  file::WriteAll(fd.get(), text, temporary, options);
  file::Sync(fd.get(), temporary, options);
  file::Patiently("rename", temporary, options,
                  [&] { return static_cast<ssize_t>(rename(temporary.c_str(), path.c_str())); });
}

}  // namespace

std::string CheckpointPath(int64_t step) {
  char name[48];
  std::snprintf(name, sizeof name, "checkpoints/step-%09lld", static_cast<long long>(step));
  return name;
}

Written Describe(const std::string& folder, int64_t step) {
  Written written{step, CheckpointPath(step), 0};
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    written.size_bytes += static_cast<int64_t>(entry.file_size());
  }
  return written;
}

std::optional<Written> WriteCheckpoint(const std::string& attempt_dir, Manifest manifest,
                                       const std::vector<engine::NamedState>& states, const Peers& peers,
                                       const file::WriteOptions& options) {
  Written written{manifest.step, CheckpointPath(manifest.step), 0};
  const std::string folder = attempt_dir + "/" + written.path;
  file::MakeFolders(folder, options);
  std::vector<engine::NamedState> own;
  for (const engine::NamedState& state : states) {
    if (state.master.numel() > 0 && (peers.rank == 0 || !state.replicated)) own.push_back(state);
  }
  FileEntry file = WriteTensorFile(folder, TensorFileName(peers.rank), Flatten(own), options);
  file::SyncFolder(folder, options);
  const auto name = [&](int rank) { return written.path + "/" + std::to_string(rank); };
  if (peers.rank != 0) {
    peers.publish(name(peers.rank), ToJson(file));
    return {};
  }
  manifest.files = {std::move(file)};
  for (int rank = 1; rank < peers.world_size; ++rank)
    manifest.files.push_back(ParseFileEntry(peers.get(name(rank))));
  const std::string text = ToJson(manifest);
  WriteManifest(folder + "/manifest.json", text, options);
  file::SyncFolder(folder, options);
  written.size_bytes = static_cast<int64_t>(text.size());
  for (const FileEntry& entry : manifest.files) written.size_bytes += entry.size_bytes;
  return written;
}

CheckpointWriter::CheckpointWriter(std::string attempt_dir, Peers peers, file::WriteOptions options)
    : attempt_dir_(std::move(attempt_dir)), peers_(std::move(peers)), options_(std::move(options)) {}

void CheckpointWriter::Copy(const std::vector<engine::NamedState>& states) {
  if (snapshot_.empty()) {
    for (const engine::NamedState& state : states) {
      const auto room = [](const at::Tensor& like) { return at::empty(like.sizes(), at::kFloat); };
      snapshot_.push_back({state.name, state.shape, state.begin, state.replicated, room(state.master),
                           room(state.exp_avg), room(state.exp_avg_sq)});
    }
  }
  // On CPUs by this thread alone: all others compute.
  const at::NoGradGuard no_grad;
  const auto copy = [](const at::Tensor& from, const at::Tensor& to) {
    if (from.is_cpu()) {
      std::memcpy(to.data_ptr(), from.const_data_ptr(), from.nbytes());
    } else {
      to.copy_(from);
    }
  };
  for (size_t i = 0; i < states.size(); ++i) {
    copy(states[i].master, snapshot_[i].master);
    copy(states[i].exp_avg, snapshot_[i].exp_avg);
    copy(states[i].exp_avg_sq, snapshot_[i].exp_avg_sq);
  }
}

void CheckpointWriter::Start(Manifest manifest, std::vector<engine::NamedState> states) {
  std::promise<void> copied;
  copied_ = copied.get_future();
  under_way_ =
      std::async(std::launch::async, [this, manifest = std::move(manifest), states = std::move(states),
                                      copied = std::move(copied)]() mutable {
        {
          const std::promise<void> done = std::move(copied);  // AwaitCopy ends with it, copied or not
          Copy(states);
        }
        return WriteCheckpoint(attempt_dir_, std::move(manifest), snapshot_, peers_, options_);
      });
}

void CheckpointWriter::AwaitCopy() {
  if (copied_.valid()) copied_.wait();
}

std::optional<Written> CheckpointWriter::Poll() {
  if (!under_way_.valid() || under_way_.wait_for(std::chrono::seconds(0)) != std::future_status::ready)
    return {};
  return under_way_.get();
}

std::optional<Written> CheckpointWriter::Wait() {
  if (!under_way_.valid()) return {};
  return under_way_.get();
}

}  // namespace mixln::worker::trainer::checkpoint
