#include "services/rpc/version.h"

#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace mixln::services::rpc {
namespace {

struct Release {
  int major = 0;
  int minor = 0;
};

std::optional<Release> Parse(const std::string& version) {
  const std::vector<std::string> parts = absl::StrSplit(version, '.');
  Release release;
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[0], &release.major) ||
      !absl::SimpleAtoi(parts[1], &release.minor))
    return std::nullopt;
  return release;
}

bool Compatible(const Release& coordinator, const Release& client) {
  if (coordinator.major != client.major) return false;
  if (coordinator.major > 0) return true;
  return client.minor == coordinator.minor || client.minor + 1 == coordinator.minor;
}

}  // namespace

absl::Status CheckVersions(const Versions& versions) {
  const auto coordinator = Parse(versions.coordinator);
  const auto client = Parse(versions.client);
  if (coordinator && client && Compatible(*coordinator, *client)) return absl::OkStatus();
  const bool client_is_older = coordinator && client &&
                               (client->major < coordinator->major ||
                                (client->major == coordinator->major && client->minor < coordinator->minor));
  return absl::FailedPreconditionError(
      absl::StrCat("this client is MixLN ", versions.client, ", the coordinator is ", versions.coordinator,
                   ", and the two do not speak the same version: upgrade the ",
                   client_is_older ? "client" : "coordinator"));
}

}  // namespace mixln::services::rpc
