#include "services/mixlnctl/roles.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/text/suggest.h"

namespace mixln::services::mixlnctl {

absl::StatusOr<certificate::Identity> ReadIdentity(const std::string& role, const std::string& name) {
  const auto known = certificate::ParseRole(role);
  if (!known) {
    const std::string near = base::Suggest(role, certificate::RoleNames());
    return absl::InvalidArgumentError(absl::StrCat(
        "there is no role \"", role, "\"",
        near.empty() ? absl::StrCat(": give one of ", absl::StrJoin(certificate::RoleNames(), ", "))
                     : absl::StrCat("; did you mean \"", near, "\"?")));
  }
  return certificate::MakeIdentity(*known, name);
}

}  // namespace mixln::services::mixlnctl
