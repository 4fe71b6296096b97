#include "worker/agent/event_tail.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/file/unique_fd.h"

namespace mixln::worker::agent {
namespace {

// Calls take(line) for each whole line from `offset` on, until it returns false or the file ends.
template <typename Take>
void ForEachLine(const std::filesystem::path& path, int64_t offset, Take take) {
  const base::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return;
  std::string pending;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = pread(fd.get(), buffer, sizeof buffer, offset);
    if (n <= 0) return;
    offset += n;
    pending.append(buffer, static_cast<size_t>(n));
    size_t begin = 0;
    for (size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1)
      if (!take(std::string_view(pending).substr(begin, end - begin))) return;
    pending.erase(0, begin);
  }
}

}  // namespace

void EventTail::Seek(uint64_t after) {
  if (after < sequence_) {
    offset_ = 0;
    sequence_ = 0;
    problem_.clear();
  }
  if (after == sequence_) return;
  ForEachLine(path_, offset_, [&](std::string_view line) {
    offset_ += static_cast<int64_t>(line.size()) + 1;
    return ++sequence_ < after;
  });
}

std::vector<v1::RankEvent> EventTail::Read(uint64_t after, int limit) {
  std::vector<v1::RankEvent> events;
  Seek(after);
  if (sequence_ != after || !problem_.empty() || limit <= 0) return events;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a newer trainer may say more
  ForEachLine(path_, offset_, [&](std::string_view line) {
    v1::RankEvent event;
    const auto parsed =
        google::protobuf::util::JsonStringToMessage({line.data(), line.size()}, &event, options);
    if (!parsed.ok() || event.sequence() != sequence_ + 1) {
      problem_ = absl::StrCat(path_.string(), " line ", sequence_ + 1, ": ",
                              parsed.ok() ? "its sequence number is not the line's" : parsed.ToString());
      return false;
    }
    events.push_back(std::move(event));
    offset_ += static_cast<int64_t>(line.size()) + 1;
    ++sequence_;
    return static_cast<int>(events.size()) < limit;
  });
  return events;
}

LastEvent ReadLastEvent(const std::filesystem::path& path) {
  EventTail tail(path);
  LastEvent last;
  for (;;) {
    std::vector<v1::RankEvent> events = tail.Read(last.sequence, 4096);
    if (events.empty()) return last;
    last.sequence = events.back().sequence();
    last.event = std::move(events.back());
  }
}

}  // namespace mixln::worker::agent
