#include "worker/shards/shard_writer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file/durable.h"
#include "worker/shards/shard_header.h"

namespace mixln::worker::shards {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

template <typename T>
void Append(std::string& buffer, T value) {
  buffer.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// The header holds the counts, which are known last: so the hash is taken from the finished file.
absl::StatusOr<std::string> HashOfFile(int fd, const std::string& path) {
  const off_t size = lseek(fd, 0, SEEK_END);
  if (size < 0) return base::ErrnoStatus(errno, absl::StrCat("cannot measure ", path));
  void* mapped = mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) return base::ErrnoStatus(errno, absl::StrCat("cannot map ", path));
  std::string hash = absl::StrFormat("%016x", XXH3_64bits(mapped, static_cast<size_t>(size)));
  munmap(mapped, static_cast<size_t>(size));
  return hash;
}

}  // namespace

absl::StatusOr<ShardWriter> ShardWriter::Create(const std::filesystem::path& dir, const std::string& file,
                                                uint32_t bytes_per_token) {
  ShardWriter writer;
  writer.path_ = dir / file;
  writer.bytes_per_token_ = bytes_per_token;
  writer.fd_.reset(open(writer.path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!writer.fd_) return base::ErrnoStatus(errno, absl::StrCat("cannot write ", writer.path_.string()));
  writer.buffer_.assign(sizeof(ShardHeader), '\0');  // its place; Finish knows the counts
  return writer;
}

absl::Status ShardWriter::Add(std::span<const int> document) {
  for (const int id : document) {
    if (bytes_per_token_ == 2) {
      Append(buffer_, static_cast<uint16_t>(id));
    } else {
      Append(buffer_, static_cast<uint32_t>(id));
    }
  }
  offsets_.push_back(offsets_.back() + document.size());
  return buffer_.size() < kBufferBytes ? absl::OkStatus() : Flush();
}

absl::StatusOr<ShardInfo> ShardWriter::Finish() {
  const uint64_t token_bytes = sizeof(ShardHeader) + tokens() * bytes_per_token_;
  buffer_.append(OffsetsAt(tokens(), bytes_per_token_) - token_bytes, '\0');
  for (const uint64_t offset : offsets_) Append(buffer_, offset);
  if (auto status = Flush(); !status.ok()) return status;

  ShardHeader header{};
  std::memcpy(header.magic, kShardMagic, sizeof kShardMagic);
  header.version = kFormatVersion;
  header.bytes_per_token = bytes_per_token_;
  header.tokens = tokens();
  header.documents = offsets_.size() - 1;
  const ssize_t written = pwrite(fd_.get(), &header, sizeof header, 0);
  if (written != static_cast<ssize_t>(sizeof header) || fsync(fd_.get()) != 0)
    return base::ErrnoStatus(errno, absl::StrCat("cannot write ", path_.string()));

  auto hash = HashOfFile(fd_.get(), path_.string());
  if (!hash.ok()) return hash.status();
  return ShardInfo{path_.filename().string(), header.tokens, header.documents, *std::move(hash)};
}

absl::Status ShardWriter::Flush() {
  std::string_view left = buffer_;
  while (!left.empty()) {
    const ssize_t n = write(fd_.get(), left.data(), left.size());
    if (n >= 0) left.remove_prefix(static_cast<size_t>(n));
    if (n < 0 && errno != EINTR)
      return base::ErrnoStatus(errno, absl::StrCat("cannot write ", path_.string()));
  }
  buffer_.clear();
  return absl::OkStatus();
}

}  // namespace mixln::worker::shards
