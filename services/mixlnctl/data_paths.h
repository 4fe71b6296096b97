// From the paths of a sweep file to absolute ones, so that the same file submitted again from elsewhere is
// the same sweep.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "mixln/v1/spec.pb.h"

namespace mixln::services::mixlnctl {

struct PathProblem {
  std::string field;  // "data.source[0]", "data.tokenizer.model", "init.from"
  std::string message;
};

// Replaces data.source by the sorted absolute paths of the files that its paths and globs name, each once,
// and data.tokenizer.model and init.from by absolute paths; all relative to `folder`. A glob or path that
// names no file is a problem, and stays as it is.
std::vector<PathProblem> ResolvePaths(const std::filesystem::path& folder, v1::TrialSpec& spec);

}  // namespace mixln::services::mixlnctl
