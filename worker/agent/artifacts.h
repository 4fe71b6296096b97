// The artifacts root: one folder that all workers of a cluster see, marked with the cluster's id so that a
// worker with another folder mounted there is found out before it writes.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mixln::worker::agent {

// Makes sure that `root` belongs to the cluster: marks it when it has no marker and nothing but a data cache
// in it. FAILED_PRECONDITION when it belongs to another one, or is somebody else's folder.
absl::Status ClaimArtifacts(const std::filesystem::path& root, const std::string& cluster_id);

// Whether the root is still there: FAILED_PRECONDITION when it has no marker, as when its volume is not
// mounted any more. Then nothing in it is missing for good.
absl::Status CheckArtifacts(const std::filesystem::path& root);

// `relative` below `root`. INVALID_ARGUMENT for an absolute or empty path and for one with "." or "..".
absl::StatusOr<std::filesystem::path> ArtifactPath(const std::filesystem::path& root,
                                                   const std::string& relative);

// Deletes a folder below the root; fine when it is not there. Refuses what ArtifactPath refuses, and a path
// over a symbolic link.
absl::Status DeleteArtifact(const std::filesystem::path& root, const std::string& relative);

}  // namespace mixln::worker::agent
