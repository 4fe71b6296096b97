// The training data in training order: which windows the batch of a step has. The order is a pure function of
// (seed, step, global batch), whatever the world size: each epoch is another permutation of all windows, and
// batches follow each other through the epochs without a gap.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/shards/dataset.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/data/corpus.h"
#include "worker/trainer/data/rows.h"

namespace mixln::worker::trainer::data {

// Where training stands in the data: windows drawn in the current epoch.
struct Position {
  int64_t epoch = 0;
  int64_t offset = 0;
  bool operator==(const Position&) const = default;
};

// The position before the first window of `step`'s batch.
Position PositionOf(int64_t step, int64_t global_batch, int64_t windows);

// The window at a position.
int64_t WindowAt(uint64_t seed, Position position, int64_t windows);

class TrainingSet {
 public:
  // Throws error::DataError when the set has fewer windows than one batch, and as Corpus for its shards.
  TrainingSet(const shards::Dataset& dataset, const config::Spec& spec);

  int64_t windows() const { return windows_; }
  int64_t tokens() const { return corpus_.tokens(); }

  // The global batch of update `step` (from 0), in order. Ranks and micro-batches take consecutive parts of
  // it.
  std::vector<Range> Batch(int64_t step) const;

  // Rows for some of a batch's ranges.
  Rows Read(std::span<const Range> ranges) const { return ReadRows(corpus_, ranges, width_, pad_id_); }

 private:
  Corpus corpus_;
  config::Reading reading_;
  int64_t context_;
  int64_t global_batch_;
  uint64_t seed_;
  int64_t width_;
  int64_t pad_id_;
  int64_t windows_;
};

}  // namespace mixln::worker::trainer::data
