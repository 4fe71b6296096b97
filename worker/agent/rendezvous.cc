#include "worker/agent/rendezvous.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/file/durable.h"

namespace mixln::worker::agent {

absl::StatusOr<std::pair<base::UniqueFd, std::string>> ListenForRanks(const std::string& own_address) {
  const base::UniqueFd low(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  base::UniqueFd fd(low ? fcntl(low.get(), F_DUPFD_CLOEXEC, 10) : -1);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, own_address.c_str(), &address.sin_addr);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!fd || bind(fd.get(), generic, size) != 0 || listen(fd.get(), SOMAXCONN) != 0 ||
      getsockname(fd.get(), generic, &size) != 0)
    return base::ErrnoStatus(errno,
                             absl::StrCat("cannot listen on ", own_address, " for the ranks' rendezvous"));
  return std::pair(std::move(fd), absl::StrCat(own_address, ":", ntohs(address.sin_port)));
}

}  // namespace mixln::worker::agent
