// Where an installed trainer finds LibTorch, which is too large for a package, and what to do where it is
// missing.
#pragma once

#include <filesystem>

#include "absl/status/status.h"

namespace mixln::services::mixlnctl {

// What pip is asked for: the release that this build was made with, such as "torch==2.11.0".
extern const char kLibTorchRequirement[];

// The folder of this release of LibTorch for programs in `program_folder`. Below it, `lib` is the folder of
// the libraries, which the trainer's RPATH names, and `venv` the private Python environment that they come
// from.
std::filesystem::path LibTorchFolder(const std::filesystem::path& program_folder);

// Whether the trainer beside mixlnctl starts. NOT_FOUND when there is none; else FAILED_PRECONDITION with
// what the loader said and what to do.
absl::Status CheckTrainer(const std::filesystem::path& program_folder);

}  // namespace mixln::services::mixlnctl
