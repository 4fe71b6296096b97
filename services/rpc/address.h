// Addresses to listen on.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mixln::services::rpc {

// A host and a port, as in "127.0.0.1:7410", "localhost:0" or "[::1]:7410".
struct Address {
  std::string host;  // without brackets
  int port = 0;      // 0: any free one
};

// INVALID_ARGUMENT when `text` is no host:port. FAILED_PRECONDITION when the host is not this machine's
// loopback: without TLS nothing listens elsewhere.
absl::StatusOr<Address> ParseLoopback(const std::string& text);

// host:port, with brackets around an IPv6 host.
std::string Format(const Address& address);

// Why `address` cannot be listened on at present, in words; OK when it can.
absl::Status TryBind(const Address& address);

}  // namespace mixln::services::rpc
