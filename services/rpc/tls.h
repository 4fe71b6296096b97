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
  std::filesystem::path token = {};        // of a client without a certificate
  // Whether TLS is asked for.
  bool any() const { return !certificate.empty() || !key.empty() || !authorities.empty() || !token.empty(); }
};

// Whether what is needed is given and does what it is for, now: authorities, and a certificate with its key
// or a client's token. INVALID_ARGUMENT or FAILED_PRECONDITION with the reason, in words for people: the
// handshake itself says little.
absl::Status CheckTls(const TlsFiles& files, certificate::Use use);

// What a server does with a client that shows no certificate.
enum class NoCertificate { kCutOff, kLetIn };

// TLS 1.2 at least; who shows a certificate that these authorities do not vouch for is cut off.
std::shared_ptr<grpc::ServerCredentials> ServerTls(const TlsFiles& files, NoCertificate no_certificate);

// Shows the certificate, or a token with every call; connects only to a server whose certificate is of these
// authorities and for the name it is called by.
std::shared_ptr<grpc::ChannelCredentials> ClientTls(const TlsFiles& files);

}  // namespace mixln::services::rpc
