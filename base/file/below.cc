#include "base/file/below.h"

#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace mixln::base {
namespace {

namespace fs = std::filesystem;

// With links followed as far as the path exists.
fs::path Real(const fs::path& path) {
  std::error_code error;
  fs::path real = fs::weakly_canonical(path, error);
  return error ? fs::path() : real;
}

}  // namespace

absl::Status CheckBelow(const fs::path& path, const std::vector<fs::path>& roots) {
  if (roots.empty()) return absl::OkStatus();
  const fs::path real = Real(path);
  std::string allowed;
  for (const fs::path& root : roots) {
    const fs::path way = real.lexically_relative(Real(root));
    if (!real.empty() && !way.empty() && *way.begin() != "..") return absl::OkStatus();
    absl::StrAppend(&allowed, allowed.empty() ? "" : ", ", root.string());
  }
  return absl::PermissionDeniedError(
      absl::StrCat(path.string(), " is outside of what may be read here, which is ", allowed));
}

}  // namespace mixln::base
