// What a corpus is, as one hash of its bytes; remembered, so that an unchanged corpus is not read again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/corpus/source.h"

namespace mixln::worker::corpus {

// XXH3-128 in 32 hex digits.
std::string HashOf(std::string_view bytes);

struct HashedFile {
  std::string path;
  FileStamp stamp;
  // XXH3-128 of its bytes as they lie on disk, 32 hex digits.
  std::string hash;
};

// Hashes each file, or takes what `memory` (a folder) remembers of a file with the same path, size, time and
// inode. Callers that hash the same files at once wait for each other. `on_bytes` is told of bytes read, once
// a chunk, and of none again and again while it waits. FAILED_PRECONDITION, naming the file, when it cannot
// be read or changes meanwhile.
absl::StatusOr<std::vector<HashedFile>> HashFiles(const std::vector<std::string>& paths,
                                                  const std::filesystem::path& memory,
                                                  const std::function<void(uint64_t)>& on_bytes);

}  // namespace mixln::worker::corpus
