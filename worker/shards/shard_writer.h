// Writes one token shard. The tokens go straight to disk; only the document offsets are held in memory.
//
// The file, all little-endian (docs/rank-contract.md):
//   "MIXLNTOK", u32 version = 1, u32 bytes a token (2 or 4), u64 tokens, u64 documents, 32 zero bytes;
//   the tokens; zero bytes up to a multiple of 8; documents + 1 offsets in tokens (u64).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file/unique_fd.h"
#include "worker/shards/dataset.h"

namespace mixln::worker::shards {

class ShardWriter {
 public:
  // Makes `<dir>/<file>`, which must not be there.
  static absl::StatusOr<ShardWriter> Create(const std::filesystem::path& dir, const std::string& file,
                                            uint32_t bytes_per_token);

  // Appends one document, its eos included. Ids must be below 2^(8 * bytes_per_token).
  absl::Status Add(std::span<const int> document);

  uint64_t tokens() const { return offsets_.back(); }

  // Writes what is left, syncs the file and returns its entry for dataset.json. The last call.
  absl::StatusOr<ShardInfo> Finish();

 private:
  ShardWriter() = default;
  absl::Status Flush();

  std::filesystem::path path_;
  base::UniqueFd fd_;
  uint32_t bytes_per_token_ = 2;
  std::string buffer_;
  std::vector<uint64_t> offsets_{0};
};

}  // namespace mixln::worker::shards
