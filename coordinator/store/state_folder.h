// The folder that a coordinator keeps its databases in, and owns alone while it runs.
#pragma once

#include <cstdint>
#include <filesystem>

#include "absl/status/statusor.h"
#include "base/file/lock_file.h"

namespace mixln::coordinator::store {

// The databases in it: SqliteStore's and CurveStore's.
inline constexpr char kStateFile[] = "state.db";
inline constexpr char kCurvesFile[] = "metrics.db";

// Makes the folder if there is none and locks it until the result is destroyed. Every error says what to do:
// FAILED_PRECONDITION: it lies on a network file system, whose locks and fsync cannot be relied on.
// ALREADY_EXISTS: it is used by another coordinator. PERMISSION_DENIED and others: it cannot be written.
absl::StatusOr<base::LockFile> TakeStateFolder(const std::filesystem::path& folder);

// The name of the network file system with this statfs(2) type; nullptr when it is a local one.
const char* NetworkFileSystem(int64_t statfs_type);

}  // namespace mixln::coordinator::store
