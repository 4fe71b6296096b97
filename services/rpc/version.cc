#include "services/rpc/version.h"

#include "absl/strings/str_cat.h"
#include "base/version/compatible.h"

namespace mixln::services::rpc {

absl::Status CheckVersions(const Versions& versions) {
  if (base::version::Compatible(versions.coordinator, versions.client)) return absl::OkStatus();
  const auto coordinator = base::version::MajorMinor(versions.coordinator);
  const auto client = base::version::MajorMinor(versions.client);
  return absl::FailedPreconditionError(
      absl::StrCat("this client is MixLN ", versions.client, ", the coordinator is ", versions.coordinator,
                   ", and the two do not speak the same version: upgrade the ",
                   coordinator && client && *client < *coordinator ? "client" : "coordinator"));
}

}  // namespace mixln::services::rpc
