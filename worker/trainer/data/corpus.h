// One split of a prepared corpus: the documents of all its shards, end to end, read in place.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "worker/shards/dataset.h"
#include "worker/shards/shard_reader.h"

namespace mixln::worker::trainer::data {

// Tokens [first, first + length) of a split.
struct Range {
  int64_t first = 0;
  int64_t length = 0;
  bool operator==(const Range&) const = default;
};

class Corpus {
 public:
  // Opens all shards of `dataset.train` or `dataset.validation`. Throws error::DataError that names a shard
  // which is missing, cut short, or not the one that dataset.json describes, and error::InputOutputError that
  // names one which cannot be read.
  Corpus(const shards::Dataset& dataset, const shards::Split& split);

  int64_t tokens() const { return first_token_.back(); }
  int64_t documents() const { return first_document_.back(); }

  // The tokens of document `document`, its eos included. Throws error::DataError when its shard's offsets
  // make no sense.
  Range Document(int64_t document) const;

  // Reads tokens [first, first + out.size()), over shard boundaries. Throws error::DataError for an id
  // outside the vocabulary.
  void Read(int64_t first, std::span<int64_t> out) const;

 private:
  std::string dir_;
  int64_t vocab_size_;
  std::vector<shards::ShardReader> shards_;
  std::vector<std::string> files_;       // of each shard
  std::vector<int64_t> first_token_;     // of each shard, then the total
  std::vector<int64_t> first_document_;  // of each shard, then the total
};

}  // namespace mixln::worker::trainer::data
