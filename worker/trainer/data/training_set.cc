#include "worker/trainer/data/training_set.h"

#include <algorithm>
#include <string>

#include "worker/trainer/data/permutation.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::data {

Position PositionOf(int64_t step, int64_t global_batch, int64_t windows) {
  const int64_t drawn = step * global_batch;
  return {drawn / windows, drawn % windows};
}

int64_t WindowAt(uint64_t seed, Position position, int64_t windows) {
  const uint64_t key = Mix(seed, static_cast<uint64_t>(position.epoch));
  return static_cast<int64_t>(
      Permute(key, static_cast<uint64_t>(windows), static_cast<uint64_t>(position.offset)));
}

TrainingSet::TrainingSet(const shards::Dataset& dataset, const config::Spec& spec)
    : corpus_(dataset, dataset.train),
      reading_(spec.data.reading),
      context_(spec.data.context),
      global_batch_(spec.train.batch.sequences),
      seed_(static_cast<uint64_t>(spec.train.seed)),
      width_(RowWidth(reading_, context_)),
      pad_id_(std::max(dataset.pad_id, 0)),
      windows_(WindowCount(corpus_, reading_, context_)) {
  if (windows_ < global_batch_) {
    throw error::DataError(
        "the training set in " + dataset.dir.string() + " has " + std::to_string(corpus_.tokens()) +
        " tokens in " + std::to_string(corpus_.documents()) + " documents: " + std::to_string(windows_) +
        " windows of " + std::to_string(width_) + " tokens, fewer than one batch of " +
        std::to_string(global_batch_) + "; add text, or lower train.batch.sequences or data.context");
  }
}

std::vector<Range> TrainingSet::Batch(int64_t step) const {
  std::vector<Range> batch;
  batch.reserve(static_cast<size_t>(global_batch_));
  Position position = PositionOf(step, global_batch_, windows_);
  for (int64_t i = 0; i < global_batch_; ++i) {
    batch.push_back(Window(corpus_, reading_, context_, WindowAt(seed_, position, windows_)));
    if (++position.offset == windows_) position = {position.epoch + 1, 0};
  }
  return batch;
}

}  // namespace mixln::worker::trainer::data
