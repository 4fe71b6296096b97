// An exclusive lock that lives as long as its process: flock on a file that is never deleted.
#pragma once

#include <filesystem>
#include <functional>

#include "absl/status/statusor.h"
#include "base/file/unique_fd.h"

namespace mixln::base {

class LockFile {
 public:
  // Takes the lock, making the file if needed. ALREADY_EXISTS: another process holds it.
  static absl::StatusOr<LockFile> TryLock(const std::filesystem::path& path);
  // As TryLock, but waits until the lock is free.
  static absl::StatusOr<LockFile> Lock(const std::filesystem::path& path);
  // The same, and calls `still_waiting` about ten times a second meanwhile.
  static absl::StatusOr<LockFile> Lock(const std::filesystem::path& path,
                                       const std::function<void()>& still_waiting);
  // Whether some process holds the lock; never takes it for longer than the question.
  static bool IsHeld(const std::filesystem::path& path);

  // The descriptor, for a child that shall hold the lock on.
  int fd() const { return fd_.get(); }

 private:
  explicit LockFile(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace mixln::base
