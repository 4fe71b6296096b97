#include "services/coordinatord/log_relay.h"

#include <utility>

namespace mixln::services::coordinatord {

absl::StatusOr<v1::LogChunk> LogRelay::Ask(const std::string& worker_id, v1::LogRequest request,
                                           const std::function<bool(const v1::LogRequest&)>& send,
                                           std::chrono::milliseconds limit) {
  {
    const std::lock_guard lock(mutex_);
    request.set_request_id(++last_);
    waiting_[request.request_id()] = {.worker_id = worker_id};
  }
  const bool sent = send(request);
  std::unique_lock lock(mutex_);
  const auto mine = waiting_.find(request.request_id());
  if (sent) arrived_.wait_for(lock, limit, [&] { return stopped_ || mine->second.answer.has_value(); });
  const std::optional<v1::LogChunk> answer = std::move(mine->second.answer);
  waiting_.erase(mine);
  if (answer) return *answer;
  return absl::UnavailableError(
      sent ? "the worker that has this log does not answer: try again soon"
           : "no worker is connected that could read this log: try again when one is back");
}

void LogRelay::Deliver(const std::string& worker_id, v1::LogChunk chunk) {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(chunk.request_id());
  if (found == waiting_.end() || found->second.worker_id != worker_id) return;
  found->second.answer = std::move(chunk);
  arrived_.notify_all();
}

void LogRelay::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  arrived_.notify_all();
}

}  // namespace mixln::services::coordinatord
