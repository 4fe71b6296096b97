// The artifacts root: one folder that all workers of a cluster see, marked with the cluster's id so that a
// worker with another folder mounted there is found out before it writes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mixln/v1/session.pb.h"

namespace mixln::worker::agent {

// The id that the folder keeps, `fresh_id` if it has none yet: workers that read the same one see the same
// folder. Empty when the folder is of another cluster than `cluster_id` (empty: of none yet) or somebody
// else's, in which nothing is written.
absl::StatusOr<std::string> IdentifyArtifacts(const std::filesystem::path& root,
                                              const std::string& cluster_id, const std::string& fresh_id);

// Makes sure that `root` belongs to the cluster: marks it when it has no marker and nothing but a data cache
// in it. FAILED_PRECONDITION when it belongs to another one, or is somebody else's folder.
absl::Status ClaimArtifacts(const std::filesystem::path& root, const std::string& cluster_id);

// Whether the root is still there: FAILED_PRECONDITION when it has no marker, as when its volume is not
// mounted any more. Then nothing in it is missing for good.
absl::Status CheckArtifacts(const std::filesystem::path& root);

// `relative` below `root`. INVALID_ARGUMENT for an absolute or empty path and for one with "." or "..".
absl::StatusOr<std::filesystem::path> ArtifactPath(const std::filesystem::path& root,
                                                   const std::string& relative);

// The folder of an attempt below its trial's: "<trial_dir>/<term>-<epoch>". Errors as ArtifactPath.
absl::StatusOr<std::filesystem::path> AttemptDir(const std::filesystem::path& root,
                                                 const std::string& trial_dir, const v1::Fence& fence);

// Where a rank's log is: it lives with the attempt's checkpoints, not on the rank's host, so that any worker
// can show it when that host is lost. Errors as ArtifactPath.
absl::StatusOr<std::filesystem::path> LogPath(const std::filesystem::path& root, const std::string& trial_dir,
                                              const v1::Fence& fence, int32_t rank);

// Deletes a folder below the root by moving it into the root's trash (trash.h), as `name`; fine when it is
// not there. Refuses what ArtifactPath refuses, and a path over a symbolic link.
absl::Status DeleteArtifact(const std::filesystem::path& root, const std::string& relative,
                            const std::string& name);

}  // namespace mixln::worker::agent
