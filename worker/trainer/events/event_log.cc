#include "worker/trainer/events/event_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::events {
namespace {

[[noreturn]] void Fail(const std::string& what) {
  throw error::InputOutputError(what + ": " + std::strerror(errno));
}

// The bytes [from, to) of the file.
std::string Range(int fd, const std::string& path, off_t from, off_t to) {
  std::string bytes(static_cast<size_t>(to - from), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = pread(fd, bytes.data() + done, bytes.size() - done, from + static_cast<off_t>(done));
    if (n == 0) Fail(path + " shrank while it was read");
    if (n < 0 && errno != EINTR) Fail("cannot read " + path);
    if (n > 0) done += static_cast<size_t>(n);
  }
  return bytes;
}

// Where the last line before `end` starts: just after the last newline before `end`, or 0.
off_t StartOfLine(int fd, const std::string& path, off_t end) {
  constexpr off_t kBlock = 1 << 16;
  while (end > 0) {
    const off_t from = std::max<off_t>(0, end - kBlock);
    const size_t newline = Range(fd, path, from, end).rfind('\n');
    if (newline != std::string::npos) return from + static_cast<off_t>(newline) + 1;
    end = from;
  }
  return 0;
}

uint64_t SequenceOf(const std::string& line, const std::string& path) {
  const auto event = nlohmann::json::parse(line, nullptr, false);
  if (event.is_object() && event.contains("sequence") && event["sequence"].is_string()) {
    const auto& text = event["sequence"].get_ref<const std::string&>();
    const char* end = text.data() + text.size();
    uint64_t sequence = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, sequence);
    if (error == std::errc() && stop == end) return sequence;
  }
  throw error::InputOutputError(path + ": the last line is no event: " + line.substr(0, 80) +
                                "; move the file away to start this rank anew");
}

}  // namespace

EventLog::EventLog(std::string path, file::WriteOptions options)
    : path_(std::move(path)),
      options_(std::move(options)),
      fd_(open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (!fd_) Fail("cannot open " + path_);
  struct stat status = {};
  if (fstat(fd_.get(), &status) != 0) Fail("cannot read " + path_);
  const off_t end = StartOfLine(fd_.get(), path_, status.st_size);
  if (end != status.st_size && ftruncate(fd_.get(), end) != 0)
    Fail("cannot cut the torn last line off " + path_);
  if (end > 0) {
    const off_t start = StartOfLine(fd_.get(), path_, end - 1);
    sequence_ = SequenceOf(Range(fd_.get(), path_, start, end - 1), path_);
  }
}

void EventLog::Append(double time_seconds, int64_t step, const RankEvent& event) {
  file::WriteAll(fd_.get(), Line(sequence_ + 1, time_seconds, step, event), path_, options_);
  ++sequence_;
  if (MustBeDurable(event)) file::Sync(fd_.get(), path_, options_);
}

}  // namespace mixln::worker::trainer::events
