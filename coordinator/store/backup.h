// Copies of a state folder, and folders from copies (docs/backup.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

namespace mixln::coordinator::store {

// What a copy holds.
struct Copy {
  std::string cluster_id;
  uint64_t term = 0;
  int64_t sweeps = 0;
  int64_t trials = 0;
};

// Copies the databases of `state_folder` into the new folder `to`, whether a coordinator runs on it or not,
// and checks the copy. Either all of `to` is there or nothing. ALREADY_EXISTS: `to` is. NOT_FOUND:
// `state_folder` has no databases.
absl::StatusOr<Copy> Backup(const std::filesystem::path& state_folder, const std::filesystem::path& to);

// Fills `state_folder`, which has no databases and on which no coordinator runs, from a backup, and raises
// the term by 2^32: what was assigned after the backup was made is fenced off. FAILED_PRECONDITION: the
// folder has databases, or the backup is of a newer release. DATA_LOSS: the backup is damaged.
absl::StatusOr<Copy> Restore(const std::filesystem::path& from, const std::filesystem::path& state_folder);

}  // namespace mixln::coordinator::store
