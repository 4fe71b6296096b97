// Bearer tokens: for callers that cannot have a certificate. A file holds a hash of each, never a token.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/certificate/identity.h"

namespace mixln::services::access {

// The tokens of a file: one a line, `SHA256 ROLE/NAME UNTIL`, as in
// "9f86…0a08 operator/nightly 2027-01-31"; empty lines and what follows a # say nothing.
class Tokens {
 public:
  // INVALID_ARGUMENT with the number of the line that cannot be read, or that is for a worker or a server:
  // those need a certificate.
  static absl::StatusOr<Tokens> Parse(const std::string& text);

  // Whom the token speaks for; nothing for one that is not known, or over.
  std::optional<certificate::Identity> Find(const std::string& token, absl::Time now) const;

 private:
  struct Entry {
    certificate::Identity identity;
    absl::Time until;
  };
  std::map<std::string, Entry> by_hash_;
};

// A new token of 256 random bits. Its hash needs no salt: nobody can try them all.
absl::StatusOr<std::string> NewToken();

// The line of a file that lets the token in up to the end of the day of `until`, UTC.
std::string TokenLine(const std::string& token, const certificate::Identity& identity, absl::Time until);

}  // namespace mixln::services::access
