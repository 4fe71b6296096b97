#include "worker/trainer/data/corpus.h"

#include <algorithm>

#include "worker/trainer/data/unreadable.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::data {
namespace {

// The shard that holds element `index`, where shard s starts at starts[s].
size_t ShardOf(const std::vector<int64_t>& starts, int64_t index) {
  return static_cast<size_t>(std::upper_bound(starts.begin(), starts.end(), index) - starts.begin()) - 1;
}

}  // namespace

Corpus::Corpus(const shards::Dataset& dataset, const shards::Split& split)
    : dir_(dataset.dir.string()), vocab_size_(dataset.vocab_size), first_token_{0}, first_document_{0} {
  for (const shards::ShardInfo& info : split.shards) {
    auto shard = shards::ShardReader::Open(dataset.dir, info, dataset.bytes_per_token());
    if (!shard.ok()) ThrowUnreadable(shard.status());
    first_token_.push_back(first_token_.back() + static_cast<int64_t>(shard->tokens()));
    first_document_.push_back(first_document_.back() + static_cast<int64_t>(shard->documents()));
    shards_.push_back(*std::move(shard));
    files_.push_back(info.file);
  }
}

Range Corpus::Document(int64_t document) const {
  const size_t s = ShardOf(first_document_, document);
  const auto local = static_cast<uint64_t>(document - first_document_[s]);
  const uint64_t from = shards_[s].offset(local);
  const uint64_t to = shards_[s].offset(local + 1);
  if (from > to || to > shards_[s].tokens()) {
    throw error::DataError(dir_ + "/" + files_[s] + ": document " + std::to_string(local) +
                           " has impossible offsets; prepare the data again");
  }
  return {first_token_[s] + static_cast<int64_t>(from), static_cast<int64_t>(to - from)};
}

void Corpus::Read(int64_t first, std::span<int64_t> out) const {
  size_t done = 0;
  for (size_t s = ShardOf(first_token_, first); done < out.size(); ++s) {
    const int64_t begin = first + static_cast<int64_t>(done);
    const int64_t end = std::min(first + static_cast<int64_t>(out.size()), first_token_[s + 1]);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t token = shards_[s].token(static_cast<uint64_t>(i - first_token_[s]));
      if (token >= vocab_size_) {
        throw error::DataError(dir_ + "/" + files_[s] + ": token " + std::to_string(i - first_token_[s]) +
                               " is " + std::to_string(token) + ", but the vocabulary has " +
                               std::to_string(vocab_size_) + "; prepare the data again");
      }
      out[done++] = token;
    }
  }
}

}  // namespace mixln::worker::trainer::data
