// What every gRPC client of the coordinator shares: the channel's settings, each call's deadline and version,
// and errors in words.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "services/rpc/tls.h"

namespace mixln::services::rpc {

// A channel to `address` (host:port), with TLS where there are files for it, and never through a proxy. It
// connects by itself, again and again with a back-off of at most 2 s, and notices a dead peer within 15 s
// (keepalive).
std::shared_ptr<grpc::Channel> Connect(const std::string& address, const TlsFiles& tls = {});

// Sets a call's deadline (0: none, for streams that live long) and says this client's version to the server.
void Prepare(grpc::ClientContext& context, double deadline_seconds);

// FAILED_PRECONDITION when the coordinator that answered `context`'s call is of another major version. Call
// it once the call's initial metadata is there: after a unary call, or after a stream's first message.
absl::Status CheckServerVersion(const grpc::ClientContext& context);

// The error in words, for people: its message, then one indented line for each field violation.
std::string Explain(const grpc::Status& status);

}  // namespace mixln::services::rpc
