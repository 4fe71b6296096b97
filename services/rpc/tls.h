// Mutual TLS between the coordinator and those that call it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <memory>

#include "absl/status/status.h"
#include "services/certificate/certificate.h"

namespace mixln::services::rpc {

// One end's PEM files. They are read again while a process runs, so that a certificate can be replaced
// without a restart: connections made from then on use the new one.
struct TlsFiles {
  std::filesystem::path certificate = {};  // and what leads from it to the authority
  std::filesystem::path key = {};          // without a pass phrase
  std::filesystem::path authorities = {};  // who vouches for the other end
  // Whether TLS is asked for.
  bool any() const { return !certificate.empty() || !key.empty() || !authorities.empty(); }
};

// Whether all three are given and do what they are for, now. INVALID_ARGUMENT or FAILED_PRECONDITION with the
// reason, in words for people: the handshake itself says little.
absl::Status CheckTls(const TlsFiles& files, certificate::Use use);

// TLS 1.2 at least; who connects without a certificate of these authorities is cut off.
std::shared_ptr<grpc::ServerCredentials> ServerTls(const TlsFiles& files);

// Connects only to a server whose certificate is of these authorities and for the name it is called by.
std::shared_ptr<grpc::ChannelCredentials> ClientTls(const TlsFiles& files);

}  // namespace mixln::services::rpc
