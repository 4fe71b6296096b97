// Limits where there is no TLS, and so no name of a caller to count by: each connection has its own. A script
// that runs wild is told so and leaves room for others; who opens many connections is not stopped.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "services/access/limiter.h"

namespace mixln::services::access {

// What a program on one machine may ask for, which has reasons to ask for more than a person elsewhere.
inline constexpr Limiter::Options kOfAConnection{.calls_per_second = 500, .burst = 1000, .open_calls = 64};

// Counts each connection's calls. One that is too many is marked, and rpc::CheckCaller refuses it with
// RESOURCE_EXHAUSTED: gRPC lets nothing else refuse a call that comes without credentials.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> LimitConnections(
    Limiter::Options limits = kOfAConnection);

}  // namespace mixln::services::access
