#include "worker/agent/control_socket.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "absl/strings/str_cat.h"
#include "base/file/unique_fd.h"

namespace mixln::worker::agent {

bool SendControl(const std::filesystem::path& folder, std::string_view command) {
  const base::UniqueFd directory(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const base::UniqueFd socket_fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!directory || !socket_fd) return false;
  // A socket's path has 108 bytes at most; this one is short wherever the folder lies.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = absl::StrCat("/proc/self/fd/", directory.get(), "/control");
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return sendto(socket_fd.get(), command.data(), command.size(), MSG_NOSIGNAL,
                reinterpret_cast<const sockaddr*>(&address),
                sizeof address) == static_cast<ssize_t>(command.size());
}

}  // namespace mixln::worker::agent
