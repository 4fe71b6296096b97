#include "services/mixlnctl/lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/file/durable.h"
#include "base/file/unique_fd.h"

namespace mixln::services::mixlnctl {

absl::Status AppendLine(const std::filesystem::path& file, const std::string& line) {
  const base::UniqueFd fd(open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!fd || write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
      fsync(fd.get()) != 0)
    return base::ErrnoStatus(errno, absl::StrCat("cannot write ", file.string()));
  return absl::OkStatus();
}

}  // namespace mixln::services::mixlnctl
