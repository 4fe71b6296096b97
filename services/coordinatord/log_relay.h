// Carries pieces of logs from workers to the calls that asked for them: a request gets a number, which
// travels to the worker and comes back in its answer. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "mixln/v1/session.pb.h"

namespace mixln::services::coordinatord {

class LogRelay {
 public:
  // Numbers the request, hands it to `send` (false: there is nobody to send it to), and waits for the
  // worker's answer. UNAVAILABLE: the worker cannot be reached, or does not answer within `limit`, or Stop
  // was called.
  absl::StatusOr<v1::LogChunk> Ask(const std::string& worker_id, v1::LogRequest request,
                                   const std::function<bool(const v1::LogRequest&)>& send,
                                   std::chrono::milliseconds limit);
  // The worker has answered; what it was not asked for, or nobody waits for any more, is dropped.
  void Deliver(const std::string& worker_id, v1::LogChunk chunk);
  // Ends all waiting.
  void Stop();

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  bool stopped_ = false;
  uint64_t last_ = 0;
  struct Question {
    std::string worker_id;
    std::optional<v1::LogChunk> answer = {};
  };
  std::map<uint64_t, Question> waiting_;
};

}  // namespace mixln::services::coordinatord
