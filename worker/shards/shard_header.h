// The first 64 bytes of a shard, as they lie on disk.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace mixln::worker::shards {

static_assert(std::endian::native == std::endian::little, "shards are little-endian and mapped as they are");

inline constexpr char kShardMagic[8] = {'M', 'I', 'X', 'L', 'N', 'T', 'O', 'K'};

struct ShardHeader {
  char magic[8];
  uint32_t version;
  uint32_t bytes_per_token;
  uint64_t tokens;
  uint64_t documents;
  char zero[32];
};
static_assert(sizeof(ShardHeader) == 64);

// Where the document offsets begin: after the tokens, at a multiple of 8 bytes.
inline uint64_t OffsetsAt(uint64_t tokens, uint32_t bytes_per_token) {
  return (sizeof(ShardHeader) + tokens * bytes_per_token + 7) / 8 * 8;
}

}  // namespace mixln::worker::shards
