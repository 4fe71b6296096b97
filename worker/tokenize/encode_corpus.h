// The documents of a corpus, encoded and written: the shards and what is counted on the way.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/shards/dataset.h"
#include "worker/tokenize/document_batches.h"
#include "worker/tokenize/sentencepiece.h"
#include "worker/tokenize/split_rule.h"

namespace mixln::worker::tokenize {

struct EncodeOptions {
  int threads = 1;
  // Tokens after which the next document begins a new shard.
  uint64_t shard_tokens = uint64_t{128} << 20;
};

struct EncodedCorpus {
  // Splits, counts and vocabulary; not the sources.
  shards::Dataset dataset;
  // For each id, how often it occurs in the training documents.
  std::vector<uint64_t> unigram;
};

// Encodes each different document once, in the order of the sources, ends it with eos, and writes
// train-*.tokens and validation-*.tokens to `dir`, which holds none yet. The output does not depend on
// `threads`. Memory: some batches a thread, and 20 to 40 bytes a different document to know it again.
// FAILED_PRECONDITION when the documents cannot be read, or there is only one and so none can be held out.
absl::StatusOr<EncodedCorpus> EncodeCorpus(const std::vector<SourceFile>& sources, corpus::Split split,
                                           const SentencePiece& tokenizer, SplitRule rule,
                                           const std::filesystem::path& dir, const EncodeOptions& options,
                                           const std::function<void(uint64_t)>& on_bytes);

// Appends the ids of one document, without eos. A document above 1 MiB is encoded in pieces, cut at line ends
// or before spaces, since SentencePiece needs some 50 bytes of memory a byte of text; pieces of a tokenizer
// trained here never span these, so its ids are the same.
void EncodeDocument(const SentencePiece& tokenizer, std::string_view text, std::vector<int>& ids);

}  // namespace mixln::worker::tokenize
