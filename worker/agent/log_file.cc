#include "worker/agent/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <optional>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file/durable.h"
#include "base/file/unique_fd.h"

namespace mixln::worker::agent {
namespace {

constexpr int64_t kChunkBytes = 256 << 10;

std::string ReadAt(int fd, int64_t offset, int64_t size) {
  std::string data(static_cast<size_t>(size), '\0');
  const ssize_t n = pread(fd, data.data(), data.size(), offset);
  data.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return data;
}

int64_t SizeOf(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 ? status.st_size : 0;
}

// Offset of the last `lines` lines, looking back from the end.
int64_t OffsetOfLastLines(int fd, int64_t size, int64_t lines) {
  int64_t end = size;
  while (end > 0) {
    const int64_t begin = std::max<int64_t>(0, end - kChunkBytes);
    const std::string data = ReadAt(fd, begin, end - begin);
    for (size_t i = data.size(); i-- > 0;) {
      const int64_t at = begin + static_cast<int64_t>(i);
      if (data[i] == '\n' && at != size - 1 && --lines == 0) return at + 1;
    }
    end = begin;
  }
  return 0;
}

// Seconds since 1970 of the time that a line begins with; none in another line.
std::optional<int64_t> TimeOf(std::string_view line) {
  constexpr std::string_view kShape = "0000-00-00 00:00:00";
  if (line.size() < kShape.size()) return std::nullopt;
  for (size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] == '0' ? !absl::ascii_isdigit(line[i]) : line[i] != kShape[i]) return std::nullopt;
  }
  std::tm local = {};
  if (strptime(std::string(line.substr(0, kShape.size())).c_str(), "%Y-%m-%d %H:%M:%S", &local) == nullptr)
    return std::nullopt;
  local.tm_isdst = -1;  // mktime finds out
  return std::mktime(&local);
}

// Offset of the first line of the time `since` or a later one; the size when there is none.
int64_t OffsetOfTime(int fd, int64_t size, int64_t since) {
  for (int64_t begin = 0; begin < size;) {
    const std::string data = ReadAt(fd, begin, std::min(kChunkBytes, size - begin));
    if (data.empty()) break;
    const bool last = begin + static_cast<int64_t>(data.size()) >= size;
    size_t line = 0;
    for (size_t end = 0; line < data.size(); line = end + 1) {
      end = data.find('\n', line);
      if (end == std::string::npos && !last && line > 0) break;  // its rest is in the next piece
      end = std::min(end, data.size());
      const auto time = TimeOf(std::string_view(data).substr(line, end - line));
      if (time && *time >= since) return begin + static_cast<int64_t>(line);
    }
    begin += static_cast<int64_t>(std::min(line, data.size()));
  }
  return size;
}

}  // namespace

v1::LogChunk ReadLogChunk(const std::filesystem::path& log, const v1::LogRequest& request) {
  v1::LogChunk chunk;
  chunk.set_request_id(request.request_id());
  const base::UniqueFd fd(open(log.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    chunk.set_end(true);
    chunk.set_error(
        std::string(base::ErrnoStatus(errno, absl::StrCat("cannot read the log ", log.string())).message()));
    return chunk;
  }
  const int64_t size = SizeOf(fd.get());
  int64_t offset = std::clamp<int64_t>(request.offset(), 0, size);
  if (request.offset() == 0 && request.tail_lines() > 0)
    offset = OffsetOfLastLines(fd.get(), size, request.tail_lines());
  if (request.offset() == 0 && request.has_since())
    offset = std::max(offset, OffsetOfTime(fd.get(), size, request.since().seconds()));
  chunk.set_data(ReadAt(fd.get(), offset, std::min(kChunkBytes, size - offset)));
  chunk.set_next_offset(offset + static_cast<int64_t>(chunk.data().size()));
  chunk.set_end(chunk.next_offset() >= size);
  return chunk;
}

std::string LastLines(const std::filesystem::path& log, int lines, size_t bytes) {
  const base::UniqueFd fd(open(log.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return "";
  const int64_t size = SizeOf(fd.get());
  const int64_t begin =
      std::max(OffsetOfLastLines(fd.get(), size, lines), size - static_cast<int64_t>(bytes));
  std::string text = ReadAt(fd.get(), begin, size - begin);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  // The words end up in a proto string: other bytes than ASCII become '?'.
  for (char& c : text)
    if (static_cast<unsigned char>(c) >= 0x80 ||
        (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t'))
      c = '?';
  return text;
}

}  // namespace mixln::worker::agent
