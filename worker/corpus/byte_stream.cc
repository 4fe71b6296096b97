#include "worker/corpus/byte_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file/durable.h"
#include "base/file/unique_fd.h"

namespace mixln::worker::corpus {
namespace {

constexpr size_t kInputBytes = 256 << 10;
constexpr std::string_view kGzipMagic = "\x1f\x8b";
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";

enum class Compression { kNone, kGzip, kZstd };

}  // namespace

struct ByteStream::State {
  ~State() {
    if (compression == Compression::kGzip) inflateEnd(&gzip);
    ZSTD_freeDStream(zstd);
  }

  // Reads more of the file once all of `input` is used up.
  absl::Status Fill() {
    if (at < filled || end_of_file) return absl::OkStatus();
    ssize_t n = 0;
    do {
      n = read(fd.get(), input.data(), input.size());
    } while (n < 0 && errno == EINTR);
    if (n < 0) return base::ErrnoStatus(errno, absl::StrCat("cannot read ", path));
    at = 0;
    filled = static_cast<size_t>(n);
    consumed += filled;
    end_of_file = n == 0;
    return absl::OkStatus();
  }

  absl::Status Damaged(std::string_view kind, std::string_view what) const {
    return absl::FailedPreconditionError(absl::StrCat(path, " is damaged: ", std::string(kind), " says ",
                                                      std::string(what), "; fetch the file again"));
  }

  absl::StatusOr<size_t> ReadPlain(char* out, size_t size) {
    const size_t n = std::min(size, filled - at);
    std::memcpy(out, input.data() + at, n);
    at += n;
    return n;
  }

  absl::StatusOr<size_t> ReadGzip(char* out, size_t size) {
    gzip.next_out = reinterpret_cast<Bytef*>(out);
    gzip.avail_out = static_cast<uInt>(size);
    while (gzip.avail_out == size) {
      if (auto status = Fill(); !status.ok()) return status;
      if (end_of_file && member_ended) break;
      if (end_of_file) return Damaged("gzip", "that the data ends too early");
      if (member_ended) {  // another member follows
        inflateReset(&gzip);
        member_ended = false;
      }
      gzip.next_in = reinterpret_cast<Bytef*>(input.data() + at);
      gzip.avail_in = static_cast<uInt>(filled - at);
      const int result = inflate(&gzip, Z_NO_FLUSH);
      at = filled - gzip.avail_in;
      member_ended = result == Z_STREAM_END;
      if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return Damaged("gzip", gzip.msg != nullptr ? gzip.msg : "unreadable data");
    }
    return size - gzip.avail_out;
  }

  absl::StatusOr<size_t> ReadZstd(char* out, size_t size) {
    ZSTD_outBuffer to{out, size, 0};
    while (to.pos == 0) {
      if (auto status = Fill(); !status.ok()) return status;
      // At the end of the file the decoder may still hold output; it is done when it says 0.
      if (end_of_file && member_ended) break;
      ZSTD_inBuffer from{input.data(), filled, at};
      const size_t result = ZSTD_decompressStream(zstd, &to, &from);
      if (ZSTD_isError(result) != 0) return Damaged("zstd", ZSTD_getErrorName(result));
      at = from.pos;
      member_ended = result == 0;
      if (end_of_file && to.pos == 0 && !member_ended) return Damaged("zstd", "that the data ends too early");
    }
    return to.pos;
  }

  std::string path;
  base::UniqueFd fd;
  Compression compression = Compression::kNone;
  std::vector<char> input = std::vector<char>(kInputBytes);
  size_t at = 0;
  size_t filled = 0;
  uint64_t consumed = 0;
  bool end_of_file = false;
  bool member_ended = false;  // between two gzip members or zstd frames
  z_stream gzip{};
  ZSTD_DStream* zstd = nullptr;
};

absl::StatusOr<ByteStream> ByteStream::Open(const std::string& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->fd.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat about {};
  if (!state->fd || fstat(state->fd.get(), &about) != 0)
    return absl::FailedPreconditionError(absl::StrCat("cannot read ", path, ": ", strerror(errno)));
  if (!S_ISREG(about.st_mode))
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not a file: name files or a pattern such as ", path, "/*"));
  posix_fadvise(state->fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  if (auto status = state->Fill(); !status.ok()) return status;
  const std::string_view begin(state->input.data(), state->filled);
  if (begin.starts_with(kGzipMagic)) {
    state->compression = Compression::kGzip;
    inflateInit2(&state->gzip, 15 + 16);  // 16: with gzip headers
  } else if (begin.starts_with(kZstdMagic)) {
    state->compression = Compression::kZstd;
    state->zstd = ZSTD_createDStream();
  }
  return ByteStream(std::move(state));
}

ByteStream::ByteStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
ByteStream::ByteStream(ByteStream&&) noexcept = default;
ByteStream& ByteStream::operator=(ByteStream&&) noexcept = default;
ByteStream::~ByteStream() = default;

absl::StatusOr<size_t> ByteStream::Read(char* out, size_t size) {
  switch (state_->compression) {
    case Compression::kGzip: return state_->ReadGzip(out, size);
    case Compression::kZstd: return state_->ReadZstd(out, size);
    case Compression::kNone: break;
  }
  if (auto status = state_->Fill(); !status.ok()) return status;
  return state_->ReadPlain(out, size);
}

uint64_t ByteStream::bytes_consumed() const {
  return state_->consumed;
}

}  // namespace mixln::worker::corpus
