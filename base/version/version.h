// The release of this build, from the top CMakeLists.txt.
#pragma once

#include <string_view>

namespace mixln::base::version {

// Semantic version, such as "0.1.0". A client or worker of another major version is refused; for 0.x the
// minor number counts as the major one, and the one before it still works.
inline constexpr std::string_view kVersion = MIXLN_VERSION;

}  // namespace mixln::base::version
