#include "base/file/durable.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/failpoint/failpoint.h"
#include "base/file/unique_fd.h"

namespace mixln::base {

absl::Status ErrnoStatus(int error, std::string_view what) {
  return absl::ErrnoToStatus(error, std::string(what));
}

absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return ErrnoStatus(errno, absl::StrCat("cannot read ", path.string()));
  std::string contents;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n == 0) return contents;
    if (n > 0) contents.append(buffer, static_cast<size_t>(n));
    if (n < 0 && errno != EINTR) return ErrnoStatus(errno, absl::StrCat("cannot read ", path.string()));
  }
}

absl::Status SyncFolder(const std::filesystem::path& folder) {
  UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0)
    return ErrnoStatus(errno, absl::StrCat("cannot sync folder ", folder.string()));
  return absl::OkStatus();
}

absl::Status WriteFileDurably(const std::filesystem::path& path, std::string_view contents) {
  const std::string temporary = path.string() + ".tmp";
  {
    UniqueFd fd(failpoint::Call("file.make", temporary, [&] {
      return open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    }));
    if (!fd) return ErrnoStatus(errno, absl::StrCat("cannot write ", temporary));
    while (!contents.empty()) {
      const ssize_t n = failpoint::Call("file.write", temporary,
                                        [&] { return write(fd.get(), contents.data(), contents.size()); });
      if (n >= 0) contents.remove_prefix(static_cast<size_t>(n));
      if (n < 0 && errno != EINTR) return ErrnoStatus(errno, absl::StrCat("cannot write ", temporary));
    }
    if (failpoint::Call("file.sync", temporary, [&] { return fsync(fd.get()); }) != 0)
      return ErrnoStatus(errno, absl::StrCat("cannot sync ", temporary));
  }
  if (failpoint::Call("file.rename", temporary, [&] { return rename(temporary.c_str(), path.c_str()); }) != 0)
    return ErrnoStatus(errno, absl::StrCat("cannot rename ", temporary, " to ", path.string()));
  return SyncFolder(path.has_parent_path() ? path.parent_path() : std::filesystem::path("."));
}

absl::Status MakeFolders(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot make folder ", folder.string()));
  return absl::OkStatus();
}

}  // namespace mixln::base
