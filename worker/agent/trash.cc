#include "worker/agent/trash.h"

#include <spdlog/spdlog.h>

#include <system_error>

namespace mixln::worker::agent {
namespace {

namespace fs = std::filesystem;

// Removes a folder from its leaves on, as far as it comes until it is to stop. Another worker may be at it,
// too.
void Remove(const fs::path& path, const std::stop_token& stop) {
  std::error_code error;
  if (fs::is_directory(fs::symlink_status(path, error))) {
    for (const auto& entry : fs::directory_iterator(path, error)) {
      if (stop.stop_requested()) return;
      Remove(entry.path(), stop);
    }
  }
  fs::remove(path, error);
  if (error && error != std::errc::no_such_file_or_directory && error != std::errc::directory_not_empty)
    spdlog::warn("cannot remove {} from the trash: {}; the next daemon tries again", path.string(),
                 error.message());
}

}  // namespace

fs::path TrashFolder(const fs::path& artifacts_root) {
  return artifacts_root / ".mixln-trash";
}

TrashCollector::TrashCollector(const fs::path& artifacts_root)
    : folder_(TrashFolder(artifacts_root)), thread_([this](const std::stop_token& stop) { Run(stop); }) {}

void TrashCollector::Collect() {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = true;
  }
  wake_.notify_one();
}

void TrashCollector::Run(const std::stop_token& stop) {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (!wake_.wait(lock, stop, [this] { return wanted_; })) return;
      wanted_ = false;
    }
    std::error_code nothing_there;
    if (!fs::is_directory(fs::symlink_status(folder_, nothing_there))) continue;
    for (const auto& entry : fs::directory_iterator(folder_, nothing_there)) {
      if (stop.stop_requested()) return;
      Remove(entry.path(), stop);
    }
  }
}

}  // namespace mixln::worker::agent
