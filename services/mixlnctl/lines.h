// Files of lines that a coordinator reads again while it runs.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"

namespace mixln::services::mixlnctl {

// Adds a line at the end, at once and durably; makes the file, for nobody else to read, where there is none.
absl::Status AppendLine(const std::filesystem::path& file, const std::string& line);

}  // namespace mixln::services::mixlnctl
