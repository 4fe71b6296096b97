// What the server's side shares: settings of the listener, and the caller's version.
#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"

namespace mixln::services::rpc {

// Keepalive, message sizes, one owner a port. Health checks and reflection are switched on by the program.
void Configure(grpc::ServerBuilder& builder);

// Says this server's version to the caller, and checks the caller's. A caller that says none (grpcurl, say)
// is let in.
absl::Status CheckCaller(grpc::ServerContextBase& context);

}  // namespace mixln::services::rpc
