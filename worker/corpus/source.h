// The files of a corpus: which there are, and what is in them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mixln::worker::corpus {

// How documents lie in a file.
enum class Layout { kText, kJsonl };

// The files that `patterns` (paths or glob(7) patterns) name, sorted by path, each once. A pattern that
// matches nothing adds a sentence to `problems`.
std::vector<std::string> ExpandSources(const std::vector<std::string>& patterns,
                                       std::vector<std::string>& problems);

// What the beginning of a file shows.
struct FileLook {
  Layout layout = Layout::kText;
  // Ill-formed UTF-8 sequences in it.
  uint64_t invalid_utf8 = 0;
};

// Reads the first megabyte, decompressed. JSONL is known by its name (.json, .jsonl, .ndjson before .gz and
// .zst) or by a first line that is an object with a string "text". FAILED_PRECONDITION, naming the file, when
// it cannot be read, is empty (or only white space), or is not text: it has NUL bytes, or over a quarter of
// it is not UTF-8.
absl::StatusOr<FileLook> Look(const std::string& path);

// Tells a file that was rewritten from one that was not.
struct FileStamp {
  uint64_t bytes = 0;
  int64_t modified_nanoseconds = 0;
  uint64_t inode = 0;
  bool operator==(const FileStamp&) const = default;
};

// FAILED_PRECONDITION, naming the file, when it is not there.
absl::StatusOr<FileStamp> Stamp(const std::string& path);

}  // namespace mixln::worker::corpus
