#include "worker/agent/trash.h"

#include <spdlog/spdlog.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

namespace mixln::worker::agent {
namespace {

namespace fs = std::filesystem;

// Somebody else removed it: ESTALE is how NFS says so.
bool IsGone(const std::error_code& error) {
  return error == std::errc::no_such_file_or_directory ||
         error == std::error_code(ESTALE, std::generic_category());
}

std::vector<fs::path> Entries(const fs::path& folder, std::error_code& error) {
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator();
       it.increment(error))
    entries.push_back(it->path());
  return entries;
}

// Removes a file or a folder from its leaves on; CANCELED when it is to stop.
std::error_code Remove(const fs::path& path, const std::stop_token& stop) {
  if (stop.stop_requested()) return std::make_error_code(std::errc::operation_canceled);
  std::error_code error;
  if (fs::is_directory(fs::symlink_status(path, error))) {
    for (const fs::path& entry : Entries(path, error)) {
      if (const std::error_code failed = Remove(entry, stop)) return failed;
    }
  }
  if (!error) fs::remove(path, error);
  return IsGone(error) ? std::error_code() : error;
}

}  // namespace

fs::path TrashFolder(const fs::path& artifacts_root) {
  return artifacts_root / ".mixln-trash";
}

TrashCollector::TrashCollector(const fs::path& artifacts_root, std::string own)
    : folder_(TrashFolder(artifacts_root)),
      own_(std::move(own)),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

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
    Empty(stop);
  }
}

void TrashCollector::Empty(const std::stop_token& stop) {
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(folder_, error))) return;
  const bool all = std::exchange(first_, false);
  for (const fs::path& entry : Entries(folder_, error)) {
    const std::string name = entry.filename();
    if ((!all && name.rfind(own_, 0) != 0) || stuck_.contains(name)) continue;
    const std::error_code failed = Remove(entry, stop);
    if (stop.stop_requested()) return;
    // A rank that lives on may have written into it: the next time it goes.
    if (!failed || failed == std::errc::directory_not_empty) continue;
    stuck_.insert(name);
    spdlog::warn("cannot remove {}: {}; it is left to the next daemon", entry.string(), failed.message());
  }
}

}  // namespace mixln::worker::agent
