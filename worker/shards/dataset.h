// A prepared corpus: what dataset.json says about a folder of token shards (docs/rank-contract.md, "Prepared
// data"). Plain data; the tokens themselves are read with ShardReader.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mixln::worker::shards {

// Raised when dataset.json or the shard format changes; a reader refuses any other.
inline constexpr uint32_t kFormatVersion = 1;

// One shard file.
struct ShardInfo {
  // Its name inside the dataset's folder.
  std::string file;
  // Tokens, eos included.
  uint64_t tokens = 0;
  uint64_t documents = 0;
  // XXH3-64 of the whole file, 16 hex digits.
  std::string xxh3_64;
};

// The training or the validation documents.
struct Split {
  // Tokens, eos included.
  uint64_t tokens = 0;
  uint64_t documents = 0;
  // Bytes of UTF-8 text, without separators between documents: the denominator of bits per byte.
  uint64_t text_bytes = 0;
  // In reading order.
  std::vector<ShardInfo> shards;
};

// A file that the corpus was made from.
struct Source {
  std::string path;
  // Size as it lay on disk, compressed or not.
  uint64_t bytes = 0;
};

struct Dataset {
  uint32_t format_version = kFormatVersion;
  // Token ids are below this.
  int32_t vocab_size = 0;
  // -1 where the tokenizer has no padding token.
  int32_t pad_id = 0;
  // Ends every document.
  int32_t eos_id = 1;
  int32_t unk_id = 2;
  Split train;
  Split validation;
  // Documents left out because an equal one came before.
  uint64_t duplicates_removed = 0;
  // Ill-formed UTF-8 sequences that became U+FFFD.
  uint64_t invalid_utf8_replaced = 0;
  std::vector<Source> sources;
  // The folder that it was loaded from; not part of dataset.json.
  std::filesystem::path dir;

  // Reads `<dir>/dataset.json`. NOT_FOUND when there is none; DATA_LOSS, with the file and what is wrong in
  // it, when it cannot be understood or contradicts itself.
  static absl::StatusOr<Dataset> Load(const std::filesystem::path& dir);
  // Writes `<dir>/dataset.json` durably.
  absl::Status Save(const std::filesystem::path& dir) const;

  // Bytes a token takes in the shards: 2 for up to 65,536 ids, else 4.
  uint32_t bytes_per_token() const { return vocab_size <= 65'536 ? 2 : 4; }
};

// unigram.u64: how often each token id occurs in the training documents, [vocab_size].
// DATA_LOSS when the file's size does not fit.
absl::StatusOr<std::vector<uint64_t>> LoadUnigram(const Dataset& dataset);
// token_bytes.u16: bytes of text that each token id stands for, [vocab_size]; 0 for eos and pad.
absl::StatusOr<std::vector<uint16_t>> LoadTokenBytes(const Dataset& dataset);

// Write the two files above.
absl::Status SaveUnigram(const std::filesystem::path& dir, const std::vector<uint64_t>& counts);
absl::Status SaveTokenBytes(const std::filesystem::path& dir, const std::vector<uint16_t>& bytes);

}  // namespace mixln::worker::shards
