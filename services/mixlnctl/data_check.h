// What can be said of a corpus before a trial starts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mixln/v1/spec.pb.h"

namespace mixln::services::mixlnctl {

struct DataFindings {
  std::vector<std::string> problems;  // why no trial can train on it
  std::vector<std::string> notes;     // what a user should know, such as invalid UTF-8 that is replaced
};

// Looks at a resolved data spec with absolute paths, for batches of `tokens_per_batch` tokens.
DataFindings CheckData(const v1::DataSpec& data, int64_t tokens_per_batch);

}  // namespace mixln::services::mixlnctl
