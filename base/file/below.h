// Paths that others name, kept inside of what they may name.
#pragma once

#include <filesystem>
#include <vector>

#include "absl/status/status.h"

namespace mixln::base {

// Whether `path`, with every link and ".." followed, is one of `roots` or below one; anything is where there
// are no roots. PERMISSION_DENIED with the path and the roots otherwise. What is at the path may change
// afterwards: who may make links below a root is trusted with all that this process may read.
absl::Status CheckBelow(const std::filesystem::path& path, const std::vector<std::filesystem::path>& roots);

}  // namespace mixln::base
