// Which releases may talk to each other.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

namespace mixln::base::version {

// (major, minor) of "major.minor…"; nothing when the text does not start with those.
inline std::optional<std::pair<int, int>> MajorMinor(std::string_view version) {
  int major = 0;
  int minor = 0;
  const char* end = version.data() + version.size();
  const auto first = std::from_chars(version.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, minor);
  if (second.ec != std::errc()) return std::nullopt;
  return std::pair(major, minor);
}

// Whether a coordinator of release `coordinator` serves a client or worker of release `peer`: one with the
// same major number; for 0.x the minor number counts as the major one, and the one before it still works.
inline bool Compatible(std::string_view coordinator, std::string_view peer) {
  const auto ours = MajorMinor(coordinator);
  const auto theirs = MajorMinor(peer);
  if (!ours || !theirs || ours->first != theirs->first) return false;
  return ours->first > 0 || theirs->second == ours->second || theirs->second + 1 == ours->second;
}

}  // namespace mixln::base::version
