// What an X.509 certificate says.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/certificate/identity.h"

namespace mixln::services::certificate {

struct Certificate {
  std::string subject;               // "CN=gpu-1"
  std::string issuer;                // the subject of who signed it
  std::optional<Identity> identity;  // of the first URI that is one
  std::vector<std::string> hosts;    // DNS names and IP addresses that it is good for
  std::string serial;                // upper-case hexadecimal
  absl::Time not_before;
  absl::Time not_after;
  bool is_authority = false;  // may sign others
};

// The first certificate of a PEM text. INVALID_ARGUMENT when there is none.
absl::StatusOr<Certificate> Parse(const std::string& pem);

// What a certificate is to be used for.
enum class Use { kServer, kClient };

// One end's credentials, as PEM text.
struct Credentials {
  std::string certificate;  // and what leads from it to the authority
  std::string key;
  std::string authorities;
};

// Whether the key is the certificate's, and whether the authorities vouch for it at `now` and for this use.
// INVALID_ARGUMENT when something cannot be read, FAILED_PRECONDITION with the reason otherwise.
absl::Status Check(const Credentials& credentials, Use use, absl::Time now);

}  // namespace mixln::services::certificate
