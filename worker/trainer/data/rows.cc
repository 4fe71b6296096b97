#include "worker/trainer/data/rows.h"

#include <algorithm>

namespace mixln::worker::trainer::data {

int64_t RowWidth(config::Reading reading, int64_t context) {
  return reading == config::Reading::kPacked ? context + 1 : context;
}

int64_t WindowCount(const Corpus& corpus, config::Reading reading, int64_t context) {
  if (reading == config::Reading::kPadded) return corpus.documents();
  return std::max<int64_t>(corpus.tokens() - 1, 0) / context;
}

Range Window(const Corpus& corpus, config::Reading reading, int64_t context, int64_t window) {
  if (reading == config::Reading::kPacked) return {window * context, context + 1};
  const Range document = corpus.Document(window);
  return {document.first, std::min(document.length, context)};
}

int64_t Targets(const Range& range) {
  return std::max<int64_t>(range.length - 1, 0);
}

Rows ReadRows(const Corpus& corpus, std::span<const Range> ranges, int64_t width, int64_t pad_id) {
  Rows rows;
  rows.rows = static_cast<int64_t>(ranges.size());
  rows.width = width;
  const auto tokens_wide = static_cast<size_t>(width);
  const size_t mask_wide = tokens_wide - 1;
  rows.tokens.assign(ranges.size() * tokens_wide, pad_id);
  if (std::any_of(ranges.begin(), ranges.end(), [&](const Range& range) { return range.length < width; })) {
    rows.mask.assign(ranges.size() * mask_wide, 0);
  }
  for (size_t r = 0; r < ranges.size(); ++r) {
    const auto length = static_cast<size_t>(ranges[r].length);
    corpus.Read(ranges[r].first, std::span(rows.tokens).subspan(r * tokens_wide, length));
    if (!rows.mask.empty()) {
      std::fill_n(rows.mask.begin() + static_cast<std::ptrdiff_t>(r * mask_wide), Targets(ranges[r]),
                  uint8_t{1});
    }
  }
  return rows;
}

}  // namespace mixln::worker::trainer::data
