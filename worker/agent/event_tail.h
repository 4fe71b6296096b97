// Reads a rank's events.jsonl as it grows. Sequence numbers count from 1 without gaps, so event n is line n,
// and a reader that knows only the last number it has (the coordinator's cursor) finds its place again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "mixln/v1/rank.pb.h"

namespace mixln::worker::agent {

class EventTail {
 public:
  explicit EventTail(std::filesystem::path path) : path_(std::move(path)) {}

  // The events that follow number `after`, at most `limit`; fewer at the end of the file. A last line without
  // its newline is not there yet. A whole line that is no event, or not the one whose turn it is, ends the
  // file for good: problem() says why.
  std::vector<v1::RankEvent> Read(uint64_t after, int limit);

  // Empty, or what is wrong with the file.
  const std::string& problem() const { return problem_; }

 private:
  void Seek(uint64_t after);

  std::filesystem::path path_;
  int64_t offset_ = 0;     // of the first byte not read
  uint64_t sequence_ = 0;  // of the event before it
  std::string problem_;
};

// The file's last whole event, with its sequence number; 0 when there is none.
struct LastEvent {
  uint64_t sequence = 0;
  v1::RankEvent event;
};
LastEvent ReadLastEvent(const std::filesystem::path& path);

}  // namespace mixln::worker::agent
