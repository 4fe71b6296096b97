#include "worker/trainer/data/evaluation_set.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "worker/trainer/data/unigram.h"
#include "worker/trainer/data/unreadable.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::data {
namespace {

// Rows in order until `limit` targets.
std::vector<Range> FirstRows(const Corpus& corpus, config::Reading reading, int64_t context, int64_t limit) {
  std::vector<Range> ranges;
  const auto take = [&](Range range) {
    const int64_t targets = std::min(Targets(range), limit);
    if (targets > 0) ranges.push_back({range.first, targets + 1});
    limit -= targets;
  };
  if (reading == config::Reading::kPadded) {
    for (int64_t d = 0; d < corpus.documents() && limit > 0; ++d) take(Window(corpus, reading, context, d));
  } else {
    for (int64_t first = 0; first + 1 < corpus.tokens() && limit > 0; first += context) {
      take({first, std::min(context + 1, corpus.tokens() - first)});
    }
  }
  return ranges;
}

}  // namespace

EvaluationSet::EvaluationSet(const shards::Dataset& dataset, const config::Spec& spec)
    : corpus_(dataset, dataset.validation),
      width_(RowWidth(spec.data.reading, spec.data.context)),
      pad_id_(std::max(dataset.pad_id, 0)),
      ranges_(FirstRows(corpus_, spec.data.reading, spec.data.context,
                        spec.eval.tokens > 0 ? spec.eval.tokens : std::numeric_limits<int64_t>::max())) {
  if (ranges_.empty()) {
    throw error::DataError("the validation set in " + dataset.dir.string() + " has " +
                           std::to_string(corpus_.tokens()) + " tokens in " +
                           std::to_string(corpus_.documents()) +
                           " documents and nothing to predict; add text, or raise data.validation_fraction");
  }
  const Unigram unigram(dataset);
  const auto bytes = shards::LoadTokenBytes(dataset);
  if (!bytes.ok()) ThrowUnreadable(bytes.status());
  std::vector<int64_t> occurrences(static_cast<size_t>(dataset.vocab_size));
  std::vector<int64_t> tokens;
  for (const Range& range : ranges_) {
    tokens.resize(static_cast<size_t>(range.length));
    corpus_.Read(range.first, tokens);
    for (size_t i = 1; i < tokens.size(); ++i) ++occurrences[static_cast<size_t>(tokens[i])];
  }
  double loss = 0;
  for (size_t t = 0; t < occurrences.size(); ++t) {
    const auto n = static_cast<double>(occurrences[t]);
    if (n > 0) loss += n * unigram.Loss(static_cast<int64_t>(t));
    targets_ += occurrences[t];
    target_bytes_ += occurrences[t] * (*bytes)[t];
  }
  unigram_perplexity_ = std::exp(loss / static_cast<double>(targets_));
}

double BitsPerByte(double total_loss_nats, int64_t bytes) {
  return total_loss_nats / std::numbers::ln2 / static_cast<double>(bytes);
}

}  // namespace mixln::worker::trainer::data
