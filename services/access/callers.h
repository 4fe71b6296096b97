// Who calls: by the certificate of the connection, or by a token that comes with the call.
#pragma once

#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/access/revocations.h"
#include "services/access/tokens.h"
#include "services/certificate/identity.h"

namespace mixln::services::access {

struct Caller {
  certificate::Identity identity;
  std::string serial;  // of the certificate; empty: a token spoke
};

// Knows all callers of a coordinator that serves TLS. Thread-safe.
class Callers {
 public:
  using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

  // Files that may change at any time; a path that is empty names none.
  struct Files {
    std::filesystem::path tokens = {};
    std::filesystem::path revoked = {};
  };

  // INVALID_ARGUMENT or NOT_FOUND when a file cannot be read.
  static absl::StatusOr<std::unique_ptr<Callers>> Open(Files files);

  // Who makes a call with this metadata on a connection of these credentials: the token's owner if there is
  // one, else the certificate's. UNAUTHENTICATED when neither says.
  absl::StatusOr<Caller> Identify(const Metadata& metadata, const grpc::AuthContext& connection) const;

  // PERMISSION_DENIED when the caller's identity or certificate is on the list.
  absl::Status CheckRevoked(const Caller& caller) const;

  // Reads the files again. One that cannot be read stays as it was, and the error says why.
  absl::Status Reload();

 private:
  // Whom a certificate is for.
  absl::StatusOr<Caller> OwnerOf(const std::string& pem) const;

  explicit Callers(Files files) : files_(std::move(files)) {}

  const Files files_;
  mutable std::mutex mutex_;
  Tokens tokens_;
  Revocations revocations_;
  // Owners of the certificates that were shown, each of which is read once and not twice a call. TLS has
  // accepted them, so that they are as many as there are callers.
  mutable std::map<std::string, Caller> owners_;
};

}  // namespace mixln::services::access
