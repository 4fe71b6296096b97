// Whom a coordinator no longer knows, although their certificates or tokens have not ended.
#pragma once

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "services/certificate/identity.h"

namespace mixln::services::access {

// The words of a file, one a line: an identity (`worker/gpu-1`, whatever its certificates and tokens) or a
// certificate's serial number; empty lines and what follows a # say nothing.
class Revocations {
 public:
  // INVALID_ARGUMENT with the number of the line that is neither.
  static absl::StatusOr<Revocations> Parse(const std::string& text);

  // `serial` is empty for a token.
  bool Contains(const certificate::Identity& identity, const std::string& serial) const;

 private:
  std::set<std::string> words_;
};

}  // namespace mixln::services::access
