// Identities as they are typed: a role and a name.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "services/certificate/identity.h"

namespace mixln::services::mixlnctl {

// INVALID_ARGUMENT, with the role that was perhaps meant, for what is none.
absl::StatusOr<certificate::Identity> ReadIdentity(const std::string& role, const std::string& name);

}  // namespace mixln::services::mixlnctl
