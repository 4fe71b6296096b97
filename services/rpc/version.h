// Which releases may talk to each other. Client and server say theirs in the metadata of every call.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace mixln::services::rpc {

// Metadata key of the sender's semantic version, both ways.
inline constexpr char kVersionKey[] = "mixln-version";

struct Versions {
  std::string coordinator;
  std::string client;
};

// OK when the two have the same major version; for 0.x the minor number counts as the major one, and a client
// of the one before still works. Else FAILED_PRECONDITION, saying which side to upgrade.
absl::Status CheckVersions(const Versions& versions);

}  // namespace mixln::services::rpc
