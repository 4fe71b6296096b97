// Errors on their way out of a server: canonical codes, and field violations as google.rpc.BadRequest.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace mixln::services::rpc {

// One thing wrong with one field of a request.
struct FieldViolation {
  std::string field;        // path of the field, such as spec.base.norm.alpha
  std::string description;  // what is wrong and what to do
};

// The same code and message.
grpc::Status ToGrpc(const absl::Status& status);

// The same code and message, the other way.
absl::Status FromGrpc(const grpc::Status& status);

// INVALID_ARGUMENT with all violations in grpc-status-details-bin.
grpc::Status InvalidArgument(const std::string& message, const std::vector<FieldViolation>& violations);

}  // namespace mixln::services::rpc
