#include "worker/shards/shard_reader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file/durable.h"
#include "base/file/unique_fd.h"
#include "worker/shards/shard_header.h"

namespace mixln::worker::shards {
namespace {

absl::Status Corrupt(const std::string& path, const std::string& what) {
  return absl::DataLossError(
      absl::StrCat("shard ", path, " ", what, ": delete its folder and prepare the data again"));
}

}  // namespace

absl::StatusOr<ShardReader> ShardReader::Open(const std::filesystem::path& dir, const ShardInfo& info,
                                              uint32_t bytes_per_token) {
  ShardReader shard;
  shard.path_ = (dir / info.file).string();
  shard.xxh3_64_ = info.xxh3_64;
  const base::UniqueFd fd(open(shard.path_.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat about {};
  if (!fd || fstat(fd.get(), &about) != 0)
    return base::ErrnoStatus(errno, absl::StrCat("cannot read shard ", shard.path_));
  const auto size = static_cast<uint64_t>(about.st_size);
  if (size < sizeof(ShardHeader))
    return Corrupt(shard.path_, absl::StrCat("is truncated to ", size, " bytes"));

  void* mapped = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (mapped == MAP_FAILED) return base::ErrnoStatus(errno, absl::StrCat("cannot map shard ", shard.path_));
  shard.data_ = static_cast<const std::byte*>(mapped);
  shard.size_ = size;

  ShardHeader header;
  std::memcpy(&header, shard.data_, sizeof header);
  if (std::memcmp(header.magic, kShardMagic, sizeof kShardMagic) != 0)
    return Corrupt(shard.path_, "does not begin with MIXLNTOK");
  if (header.version != kFormatVersion)
    return Corrupt(shard.path_,
                   absl::StrCat("has version ", header.version, ", this release reads ", kFormatVersion));
  if (header.bytes_per_token != bytes_per_token || (bytes_per_token != 2 && bytes_per_token != 4))
    return Corrupt(shard.path_, absl::StrCat("has ", header.bytes_per_token,
                                             " bytes a token, its vocabulary asks for ", bytes_per_token));
  if (header.tokens != info.tokens || header.documents != info.documents)
    return Corrupt(shard.path_,
                   absl::StrCat("holds ", header.tokens, " tokens in ", header.documents,
                                " documents, dataset.json says ", info.tokens, " in ", info.documents));
  // Bounds that keep the sum below from overflowing.
  if (header.tokens > size || header.documents > size ||
      OffsetsAt(header.tokens, bytes_per_token) + (header.documents + 1) * sizeof(uint64_t) != size)
    return Corrupt(shard.path_,
                   absl::StrCat("has ", size, " bytes, which ", header.tokens, " tokens in ",
                                header.documents, " documents do not fill: it is truncated or damaged"));
  shard.tokens_ = header.tokens;
  shard.documents_ = header.documents;
  shard.bytes_per_token_ = bytes_per_token;
  if (shard.offset(0) != 0 || shard.offset(shard.documents_) != shard.tokens_)
    return Corrupt(shard.path_, "has document offsets that do not span its tokens");
  return shard;
}

ShardReader::ShardReader(ShardReader&& other) noexcept {
  *this = std::move(other);
}

ShardReader& ShardReader::operator=(ShardReader&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(xxh3_64_, other.xxh3_64_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(tokens_, other.tokens_);
  std::swap(documents_, other.documents_);
  std::swap(bytes_per_token_, other.bytes_per_token_);
  return *this;
}

ShardReader::~ShardReader() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

absl::Status ShardReader::Verify() const {
  const std::string found = absl::StrFormat("%016x", XXH3_64bits(data_, size_));
  if (found != xxh3_64_)
    return Corrupt(path_, absl::StrCat("has the checksum ", found, ", dataset.json says ", xxh3_64_));
  for (uint64_t d = 0; d < documents_; ++d)
    if (offset(d) > offset(d + 1))
      return Corrupt(path_, absl::StrCat("has document ", d, " end before it begins"));
  return absl::OkStatus();
}

std::span<const uint16_t> ShardReader::tokens_u16() const {
  return {reinterpret_cast<const uint16_t*>(data_ + sizeof(ShardHeader)), tokens_};
}

std::span<const uint32_t> ShardReader::tokens_u32() const {
  return {reinterpret_cast<const uint32_t*>(data_ + sizeof(ShardHeader)), tokens_};
}

std::span<const uint64_t> ShardReader::offsets() const {
  return {reinterpret_cast<const uint64_t*>(data_ + OffsetsAt(tokens_, bytes_per_token_)), documents_ + 1};
}

}  // namespace mixln::worker::shards
