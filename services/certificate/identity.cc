#include "services/certificate/identity.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace mixln::services::certificate {
namespace {

constexpr char kScheme[] = "mixln:";
constexpr size_t kMaxNameLength = 64;
constexpr std::array<std::pair<Role, const char*>, 5> kNames{{
    {Role::kViewer, "viewer"},
    {Role::kOperator, "operator"},
    {Role::kAdmin, "admin"},
    {Role::kWorker, "worker"},
    {Role::kServer, "server"},
}};

bool MayBeInName(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_' || c == '@';
}

}  // namespace

std::string Name(Role role) {
  return std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) { return entry.first == role; })
      ->second;
}

std::optional<Role> ParseRole(const std::string& name) {
  for (const auto& [role, known] : kNames)
    if (name == known) return role;
  return std::nullopt;
}

std::vector<std::string> RoleNames() {
  std::vector<std::string> names;
  names.reserve(kNames.size());
  for (const auto& [role, name] : kNames) names.emplace_back(name);
  return names;
}

absl::StatusOr<Identity> MakeIdentity(Role role, const std::string& name) {
  if (name.empty() || name.size() > kMaxNameLength || !std::all_of(name.begin(), name.end(), MayBeInName))
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\" is not a name: give at most ", kMaxNameLength,
                     " letters, digits and the characters . - _ @, such as gpu-1 or ada@example.org"));
  return Identity{role, std::string(name)};
}

std::string Format(const Identity& identity) {
  return absl::StrCat(Name(identity.role), "/", identity.name);
}

std::string ToUri(const Identity& identity) {
  return absl::StrCat(kScheme, Format(identity));
}

std::optional<Identity> FromUri(const std::string& uri) {
  if (!absl::StartsWith(uri, kScheme)) return std::nullopt;
  const size_t begin = sizeof kScheme - 1;
  const size_t slash = uri.find('/', begin);
  if (slash == std::string::npos) return std::nullopt;
  const auto role = ParseRole(uri.substr(begin, slash - begin));
  if (!role) return std::nullopt;
  auto identity = MakeIdentity(*role, uri.substr(slash + 1));
  if (!identity.ok()) return std::nullopt;
  return *std::move(identity);
}

}  // namespace mixln::services::certificate
