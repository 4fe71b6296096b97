// Addresses to listen on.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mixln::services::rpc {

// A host and a port, as in "127.0.0.1:7410", "localhost:0" or "[::]:7410".
struct Address {
  std::string host;  // an IP address without brackets, or localhost
  int port = 0;      // 0: any free one
};

// Whether others than this machine may come in at a listener.
struct Exposure {
  bool allowed = false;
  std::string remedy = {};  // what allows it, for the error: "give it --tls-certificate, ..."
};

// INVALID_ARGUMENT when `text` is no such host:port. FAILED_PRECONDITION when the host is not this machine's
// loopback and that is not allowed.
absl::StatusOr<Address> ParseListen(const std::string& text, const Exposure& exposure);

// host:port, with brackets around an IPv6 host.
std::string Format(const Address& address);

// Why `address` cannot be listened on at present, in words; OK when it can.
absl::Status TryBind(const Address& address);

}  // namespace mixln::services::rpc
