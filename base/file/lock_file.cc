#include "base/file/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file/durable.h"

namespace mixln::base {
namespace {

absl::StatusOr<UniqueFd> OpenAndLock(const std::filesystem::path& path, int operation) {
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd) return ErrnoStatus(errno, absl::StrCat("cannot open lock file ", path.string()));
  while (flock(fd.get(), operation) != 0) {
    if (errno == EWOULDBLOCK)
      return absl::AlreadyExistsError(absl::StrCat(path.string(), " is locked by another process"));
    if (errno != EINTR) return ErrnoStatus(errno, absl::StrCat("cannot lock ", path.string()));
  }
  return fd;
}

}  // namespace

absl::StatusOr<LockFile> LockFile::TryLock(const std::filesystem::path& path) {
  auto fd = OpenAndLock(path, LOCK_EX | LOCK_NB);
  if (!fd.ok()) return fd.status();
  return LockFile(std::move(*fd));
}

absl::StatusOr<LockFile> LockFile::Lock(const std::filesystem::path& path) {
  auto fd = OpenAndLock(path, LOCK_EX);
  if (!fd.ok()) return fd.status();
  return LockFile(std::move(*fd));
}

absl::StatusOr<LockFile> LockFile::Lock(const std::filesystem::path& path,
                                        const std::function<void()>& still_waiting) {
  for (;;) {
    auto lock = TryLock(path);
    if (!absl::IsAlreadyExists(lock.status())) return lock;
    still_waiting();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

bool LockFile::IsHeld(const std::filesystem::path& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  // A shared lock is refused exactly while an exclusive one is held.
  return fd && flock(fd.get(), LOCK_SH | LOCK_NB) != 0;
}

}  // namespace mixln::base
