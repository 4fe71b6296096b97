// A look at a corpus before anything starts: what can be said without tokenizing it. Links no SentencePiece,
// so that programs with protobuf may call it (see worker/tokenize/sentencepiece.h).
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "mixln/v1/spec.pb.h"

namespace mixln::worker::prepare {

struct CorpusFacts {
  // Source files.
  int files = 0;
  // Their size as they lie on disk.
  uint64_t source_bytes = 0;
  // Of the tokenizer: given or to be trained.
  int32_t vocab_size = 0;
  // Ill-formed UTF-8 sequences in the beginnings (1 MiB each) of the files; they become U+FFFD. For a note to
  // the user.
  uint64_t invalid_utf8 = 0;
};

// Checks `data` (resolved, with absolute paths): every source is there, readable, neither empty nor binary,
// the text is long enough that one batch of `tokens_per_batch` tokens could exist, at least two documents
// could be in it, and the tokenizer's file is a SentencePiece model. FAILED_PRECONDITION with all problems,
// one a line, each naming its file and what to do. Reads at most about 1 MiB a file, and the beginning of the
// corpus up to the size of one batch.
absl::StatusOr<CorpusFacts> Inspect(const v1::DataSpec& data, int64_t tokens_per_batch);

}  // namespace mixln::worker::prepare
