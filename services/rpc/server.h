// What the server's side shares: settings of the listener, and the caller's version.
#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"

namespace mixln::services::rpc {

// Keepalive, message sizes, one owner a port. Health checks and reflection are switched on by the program.
void Configure(grpc::ServerBuilder& builder);

// Metadata key that an interceptor adds to a call that no service is to answer, with the reason for the
// caller.
inline constexpr char kRefusedKey[] = "mixln-refused";

// Says this server's version to the caller, and checks the caller's. A caller that says none (grpcurl, say)
// is let in. RESOURCE_EXHAUSTED for a call that an interceptor refused.
absl::Status CheckCaller(grpc::ServerContextBase& context);

}  // namespace mixln::services::rpc
