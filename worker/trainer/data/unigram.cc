#include "worker/trainer/data/unigram.h"

#include <cmath>
#include <numeric>

#include "worker/trainer/data/unreadable.h"

namespace mixln::worker::trainer::data {

Unigram::Unigram(const shards::Dataset& dataset) {
  const auto counts = shards::LoadUnigram(dataset);
  if (!counts.ok()) ThrowUnreadable(counts.status());
  const auto total = static_cast<double>(std::accumulate(counts->begin(), counts->end(), uint64_t{0}));
  losses_.reserve(counts->size());
  for (const uint64_t count : *counts) {
    const auto occurrences = static_cast<double>(count);
    losses_.push_back(-std::log((occurrences + 1) / (total + dataset.vocab_size)));
    if (count > 0) entropy_ += occurrences / total * losses_.back();
  }
}

double Unigram::Loss(const Rows& rows) const {
  double sum = 0;
  for (int64_t row = 0; row < rows.rows; ++row) {
    for (int64_t target = 0; target < rows.width - 1; ++target) {
      if (!rows.mask.empty() && rows.mask[static_cast<size_t>(row * (rows.width - 1) + target)] == 0)
        continue;
      sum += Loss(rows.tokens[static_cast<size_t>(row * rows.width + target + 1)]);
    }
  }
  return sum;
}

}  // namespace mixln::worker::trainer::data
