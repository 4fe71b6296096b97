// What can be said of a corpus before a trial starts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mixln/v1/spec.pb.h"

namespace mixln::services::mixlnctl {

struct DataProblem {
  std::string field;  // below spec, such as data.source
  std::string message;
};

struct DataFindings {
  std::vector<DataProblem> problems;  // why no trial can train on it
  std::vector<std::string> notes;     // what a user should know, such as invalid UTF-8 that is replaced
};

// Looks at a resolved data spec with absolute paths, for batches of `tokens_per_batch` tokens and a model of
// `vocab_size` (0: the tokenizer's).
DataFindings CheckData(const v1::DataSpec& data, int64_t tokens_per_batch, int32_t vocab_size);

}  // namespace mixln::services::mixlnctl
