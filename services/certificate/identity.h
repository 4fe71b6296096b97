// Who a certificate or a token speaks for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace mixln::services::certificate {

enum class Role {
  kViewer,    // reads
  kOperator,  // runs sweeps; may what a viewer may
  kAdmin,     // runs the fleet; may what an operator may
  kWorker,    // opens a worker's session, and nothing else
  kServer,    // a coordinator: calls nobody
};

// As written in commands, certificates and logs: "viewer", "operator", ...
std::string Name(Role role);
std::optional<Role> ParseRole(const std::string& name);
// All names, for suggestions.
std::vector<std::string> RoleNames();

struct Identity {
  Role role = Role::kViewer;
  std::string name;  // letters, digits and . - _ @, at most 64
  bool operator==(const Identity&) const = default;
};

// INVALID_ARGUMENT when `name` cannot be one.
absl::StatusOr<Identity> MakeIdentity(Role role, const std::string& name);

// "worker/gpu-1".
std::string Format(const Identity& identity);

// "mixln:worker/gpu-1": how a certificate says it, as a URI among its subject alternative names.
std::string ToUri(const Identity& identity);
// Nothing when `uri` is not of that form.
std::optional<Identity> FromUri(const std::string& uri);

}  // namespace mixln::services::certificate
