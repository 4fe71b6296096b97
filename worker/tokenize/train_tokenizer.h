// A tokenizer out of the corpus itself.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/tokenize/document_batches.h"
#include "worker/tokenize/split_rule.h"

namespace mixln::worker::tokenize {

// Text that a tokenizer is trained on at most; of more, a sample is drawn.
inline constexpr size_t kSampleBytes = size_t{24} << 20;

struct TrainTokenizerOptions {
  int vocab = 0;
  int threads = 1;
  size_t sample_bytes = kSampleBytes;
};

// Trains SentencePiece on the training documents; returns the model's file. Repairs `rule` (see SplitRule),
// so that no validation document is in it. The sample is drawn by the hash of each line, so it is the same on
// every machine and in every order of the files; equal lines count once. FAILED_PRECONDITION when the
// documents cannot be read or do not make up a vocabulary of that size.
absl::StatusOr<std::string> TrainTokenizer(const std::vector<SourceFile>& sources, corpus::Split split,
                                           const TrainTokenizerOptions& options, SplitRule& rule,
                                           const std::function<void(uint64_t)>& on_bytes);

}  // namespace mixln::worker::tokenize
