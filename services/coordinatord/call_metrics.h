// Counts and times every call of the server, whatever its kind.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "services/coordinatord/metrics.h"

namespace mixln::services::coordinatord {

// An interceptor factory for ServerBuilder; `metrics` outlives the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CountCalls(Metrics& metrics);

}  // namespace mixln::services::coordinatord
