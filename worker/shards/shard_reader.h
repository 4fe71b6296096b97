// A token shard, mapped into memory and read in place.
//
//   auto shard = ShardReader::Open(dataset.dir, dataset.train.shards[0], dataset.bytes_per_token());
//   for (uint64_t d = 0; d < shard->documents(); ++d)
//     for (uint64_t i = shard->offset(d); i < shard->offset(d + 1); ++i) use(shard->token(i));
//
// Thread-safe after Open. Pages come from the page cache, so ranks of one host share them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/shards/dataset.h"

namespace mixln::worker::shards {

class ShardReader {
 public:
  // Maps `<dir>/<info.file>` and checks magic, version, token width, counts and size against `info`; reads no
  // token. NOT_FOUND or the system's code when it cannot be read; DATA_LOSS, naming the file, when it is not
  // what dataset.json says.
  static absl::StatusOr<ShardReader> Open(const std::filesystem::path& dir, const ShardInfo& info,
                                          uint32_t bytes_per_token);

  ShardReader(ShardReader&& other) noexcept;
  ShardReader& operator=(ShardReader&& other) noexcept;
  ~ShardReader();

  // Reads the whole file: DATA_LOSS, naming it, unless its XXH3 is the one in dataset.json and its document
  // offsets are in order.
  absl::Status Verify() const;

  // Tokens, eos included.
  uint64_t tokens() const { return tokens_; }
  uint64_t documents() const { return documents_; }
  // 2 or 4.
  uint32_t bytes_per_token() const { return bytes_per_token_; }

  // Token `i` of the shard, i < tokens().
  uint32_t token(uint64_t i) const { return bytes_per_token_ == 2 ? tokens_u16()[i] : tokens_u32()[i]; }
  // First token of document `d`; offset(documents()) is tokens().
  uint64_t offset(uint64_t d) const { return offsets()[d]; }

  // All tokens, where bytes_per_token() is 2.
  std::span<const uint16_t> tokens_u16() const;
  // All tokens, where bytes_per_token() is 4.
  std::span<const uint32_t> tokens_u32() const;
  // Where documents begin, in tokens: documents() + 1 numbers.
  std::span<const uint64_t> offsets() const;

 private:
  ShardReader() = default;

  std::string path_;
  std::string xxh3_64_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  uint64_t tokens_ = 0;
  uint64_t documents_ = 0;
  uint32_t bytes_per_token_ = 2;
};

}  // namespace mixln::worker::shards
