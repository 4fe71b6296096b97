#include "services/rpc/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/file/durable.h"
#include "base/file/unique_fd.h"

namespace mixln::services::rpc {
namespace {

bool IsLoopback(const std::string& host) {
  in_addr v4{};
  if (host == "localhost" || host == "::1") return true;
  return inet_pton(AF_INET, host.c_str(), &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

bool IsIpAddress(const std::string& host) {
  in6_addr bytes{};
  return inet_pton(AF_INET, host.c_str(), &bytes) == 1 || inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}

}  // namespace

absl::StatusOr<Address> ParseListen(const std::string& text, const Exposure& exposure) {
  const size_t colon = text.rfind(':');
  Address address;
  if (colon == std::string::npos || colon == 0 || !absl::SimpleAtoi(text.substr(colon + 1), &address.port) ||
      address.port < 0 || address.port > 65535)
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on ", text, ": an address is a host and a port, such as 127.0.0.1:7410"));
  address.host = text.substr(0, colon);
  if (absl::StartsWith(address.host, "[") && absl::EndsWith(address.host, "]"))
    address.host = address.host.substr(1, address.host.size() - 2);
  if (IsLoopback(address.host)) return address;
  if (!IsIpAddress(address.host))
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot listen on ", text, ": give an IP address of this machine, or 0.0.0.0 for all of them"));
  if (!exposure.allowed)
    return absl::FailedPreconditionError(absl::StrCat("cannot listen on ", text,
                                                      ", off the loopback, without TLS: ", exposure.remedy,
                                                      ", or listen on 127.0.0.1"));
  return address;
}

std::string Format(const Address& address) {
  const bool v6 = absl::StrContains(address.host, ':');
  return absl::StrCat(v6 ? "[" : "", address.host, v6 ? "]:" : ":", address.port);
}

absl::Status TryBind(const Address& address) {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  sockaddr* where = reinterpret_cast<sockaddr*>(&v4);
  socklen_t size = sizeof v4;
  v4.sin_family = AF_INET;
  v4.sin_port = htons(static_cast<uint16_t>(address.port));
  if (absl::StrContains(address.host, ':')) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = v4.sin_port;
    inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr);
    where = reinterpret_cast<sockaddr*>(&v6);
    size = sizeof v6;
  } else if (inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) != 1) {
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  const base::UniqueFd fd(socket(where->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!fd || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd.get(), where, size) != 0 || listen(fd.get(), 1) != 0) {
    if (errno == EADDRINUSE)
      return absl::AlreadyExistsError(
          absl::StrCat("cannot listen on ", Format(address),
                       ": the port is in use, perhaps by another coordinator or worker; name "
                       "another one, or 0 for any free one"));
    return base::ErrnoStatus(errno, absl::StrCat("cannot listen on ", Format(address)));
  }
  return absl::OkStatus();
}

}  // namespace mixln::services::rpc
