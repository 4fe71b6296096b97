// Files that survive a crash: what a call reported as written is on disk, whole or not at all.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mixln::base {

// The whole file. NOT_FOUND when there is none; INTERNAL with the system's reason otherwise.
absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path);

// Replaces the file atomically: writes `<path>.tmp`, fsyncs it, renames it over `path`, fsyncs the folder.
// The calls are the fail-points file.make, file.write, file.sync and file.rename, with the temporary file as
// detail.
absl::Status WriteFileDurably(const std::filesystem::path& path, std::string_view contents);

// fsyncs a folder, so that its entries survive a crash.
absl::Status SyncFolder(const std::filesystem::path& folder);

// Makes the folder and its parents. PERMISSION_DENIED or INTERNAL with the path and the reason.
absl::Status MakeFolders(const std::filesystem::path& folder);

// A status for a failed system call: canonical code from `error` (errno), message "<what>: <reason>".
absl::Status ErrnoStatus(int error, std::string_view what);

}  // namespace mixln::base
