// Rows of tokens as the engine takes them, and how both readings cut a corpus into them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/trainer/config/config.h"
#include "worker/trainer/data/corpus.h"

namespace mixln::worker::trainer::data {

struct Rows {
  int64_t rows = 0;
  int64_t width = 0;            // inputs are the first width - 1 tokens, targets the last width - 1
  std::vector<int64_t> tokens;  // [rows, width]
  std::vector<uint8_t> mask;    // [rows, width - 1], 1 where a target counts; empty: all count
};

// Tokens of a row: context + 1 where windows overlap by one (packed), context where a document is cut or
// padded to it (padded).
int64_t RowWidth(config::Reading reading, int64_t context);

// Windows in the corpus: floor((tokens - 1) / context) when packed, one a document when padded.
int64_t WindowCount(const Corpus& corpus, config::Reading reading, int64_t context);

// What window `window` covers: tokens [window * context, (window + 1) * context] when packed, the first
// `context` tokens of its document when padded.
Range Window(const Corpus& corpus, config::Reading reading, int64_t context, int64_t window);

// Targets in a range: one less than its tokens.
int64_t Targets(const Range& range);

// Reads one row for each range, padded on the right with `pad_id` to `width` tokens and masked there.
Rows ReadRows(const Corpus& corpus, std::span<const Range> ranges, int64_t width, int64_t pad_id);

}  // namespace mixln::worker::trainer::data
