// The unigram model of the training data: what can be said of a token without looking at the ones before it.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/shards/dataset.h"
#include "worker/trainer/data/rows.h"

namespace mixln::worker::trainer::data {

class Unigram {
 public:
  // Throws as Corpus when the counts cannot be read.
  explicit Unigram(const shards::Dataset& dataset);

  // -log((c + 1) / (N + V)) in nats, with c the token's occurrences in the training documents, N the sum of
  // all and V the vocabulary: add-one smoothing.
  double Loss(int64_t token) const { return losses_[static_cast<size_t>(token)]; }

  // The sum over all targets of some rows.
  double Loss(const Rows& rows) const;

  // Of the training documents' tokens, in nats: the loss of a model that knows nothing but their frequencies.
  double entropy() const { return entropy_; }

 private:
  std::vector<double> losses_;  // by token
  double entropy_ = 0;
};

}  // namespace mixln::worker::trainer::data
