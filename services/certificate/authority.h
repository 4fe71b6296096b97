// A certificate authority of a cluster's own: makes itself, and issues certificates for coordinators, workers
// and people. Keys are on the P-256 curve, signatures with SHA-256.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/certificate/identity.h"

namespace mixln::services::certificate {

// A certificate and its private key, as PEM text.
struct Pair {
  std::string certificate;
  std::string key;
};

struct Validity {
  absl::Time from;
  absl::Time until;
};

// Whom a certificate is for.
struct Request {
  Identity identity;
  std::vector<std::string> hosts;  // of a server: DNS names and IP addresses that clients know it by
};

// An authority that signs itself. INTERNAL when OpenSSL fails.
absl::StatusOr<Pair> MakeAuthority(const std::string& name, const Validity& validity);

// A certificate signed by `authority`: a server's is good for servers only, any other for clients only.
// INVALID_ARGUMENT when the authority cannot be read or a host is no DNS name or IP address.
absl::StatusOr<Pair> Issue(const Pair& authority, const Request& request, const Validity& validity);

}  // namespace mixln::services::certificate
