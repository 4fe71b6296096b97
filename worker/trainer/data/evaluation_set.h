// The validation tokens that every evaluation reads, in fixed order, and what can be said of them without a
// model.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/shards/dataset.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/data/corpus.h"
#include "worker/trainer/data/rows.h"

namespace mixln::worker::trainer::data {

class EvaluationSet {
 public:
  // The first rows of the validation documents with min(all, eval.tokens) targets in all; the last row is cut
  // to that. Packed, the tokens that fill no whole window make a last, shorter row, so no target is left out.
  // Throws error::DataError when there is nothing to predict, and as Corpus for its files.
  EvaluationSet(const shards::Dataset& dataset, const config::Spec& spec);

  const std::vector<Range>& ranges() const { return ranges_; }
  // Predicted tokens.
  int64_t targets() const { return targets_; }
  // Bytes of text that the predicted tokens stand for.
  int64_t target_bytes() const { return target_bytes_; }
  // exp of the unigram model's mean loss over the predicted tokens.
  double unigram_perplexity() const { return unigram_perplexity_; }

  Rows Read(std::span<const Range> ranges) const { return ReadRows(corpus_, ranges, width_, pad_id_); }

 private:
  Corpus corpus_;
  int64_t width_;
  int64_t pad_id_;
  std::vector<Range> ranges_;
  int64_t targets_ = 0;
  int64_t target_bytes_ = 0;
  double unigram_perplexity_ = 0;
};

// The total loss in bits over the bytes of text.
double BitsPerByte(double total_loss_nats, int64_t bytes);

}  // namespace mixln::worker::trainer::data
