// events.jsonl: what the rank has to tell, one event a line, numbered without gaps, never lost and never
// doubled. docs/rank-contract.md describes the file.
#pragma once

#include <cstdint>
#include <string>

#include "base/file/unique_fd.h"
#include "worker/trainer/events/rank_event.h"
#include "worker/trainer/file/patient_write.h"

namespace mixln::worker::trainer::events {

// One thread uses it at a time.
class EventLog {
 public:
  // Opens or makes the file. Over an existing one, a last line without newline (the rank was killed while it
  // wrote) is cut off, and the numbers go on where the whole lines end. Throws error::InputOutputError, also
  // when the last whole line is no event.
  explicit EventLog(std::string path, file::WriteOptions options = {});

  // Appends one event; `step` is the number of updates done, `time_seconds` the time since 1970. Waits, and
  // says so, while the disk is full. On return a checkpoint_done, finished or failed event is on disk, and
  // any other one survives the end of the process. Throws error::InputOutputError.
  void Append(double time_seconds, int64_t step, const RankEvent& event);

  // Number of the last event; 0: none.
  uint64_t sequence() const { return sequence_; }

 private:
  std::string path_;
  file::WriteOptions options_;
  base::UniqueFd fd_;
  uint64_t sequence_ = 0;
};

}  // namespace mixln::worker::trainer::events
