// A source file's bytes, decompressed on the way: plain, gzip (also of several members, as C4's and bgzip's
// are) and zstd (also of several frames), recognised by their first bytes and never by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace mixln::worker::corpus {

class ByteStream {
 public:
  // FAILED_PRECONDITION, naming the file, when it cannot be opened or is not a regular file.
  static absl::StatusOr<ByteStream> Open(const std::string& path);
  ByteStream(ByteStream&&) noexcept;
  ByteStream& operator=(ByteStream&&) noexcept;
  ~ByteStream();

  // Up to `size` decompressed bytes; 0 only at the end. FAILED_PRECONDITION when the compressed data is
  // damaged or truncated; the system's code when the disk fails.
  absl::StatusOr<size_t> Read(char* out, size_t size);

  // Bytes of the file read so far, as they lie on disk.
  uint64_t bytes_consumed() const;

 private:
  struct State;
  explicit ByteStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mixln::worker::corpus
