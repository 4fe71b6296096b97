#include "services/coordinatord/sessions.h"

#include <utility>
#include <vector>

namespace mixln::services::coordinatord {

uint64_t Sessions::Add(Stream stream) {
  const std::lock_guard lock(mutex_);
  streams_[++last_] = std::move(stream);
  return last_;
}

void Sessions::SetWorker(uint64_t session, const std::string& worker_id) {
  const std::lock_guard lock(mutex_);
  by_worker_[worker_id] = session;
}

void Sessions::Remove(uint64_t session) {
  Stream removed;  // destroyed after the lock: it may hold the last reference to its stream
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(session);
  if (found == streams_.end()) return;
  removed = std::move(found->second);
  streams_.erase(found);
  std::erase_if(by_worker_, [&](const auto& entry) { return entry.second == session; });
}

void Sessions::Send(uint64_t session, v1::CoordinatorMessage message) const {
  std::function<void(v1::CoordinatorMessage)> send;
  {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(session);
    if (found == streams_.end()) return;
    send = found->second.send;
  }
  send(std::move(message));
}

bool Sessions::SendToWorker(const std::string& worker_id, v1::CoordinatorMessage message) const {
  uint64_t session = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_worker_.find(worker_id);
    if (found == by_worker_.end()) return false;
    session = found->second;
  }
  Send(session, std::move(message));
  return true;
}

std::string Sessions::ThisOrAnother(const std::string& worker_id) const {
  const std::lock_guard lock(mutex_);
  if (by_worker_.contains(worker_id)) return worker_id;
  return by_worker_.empty() ? "" : by_worker_.begin()->first;
}

void Sessions::Close(uint64_t session, const absl::Status& why) const {
  std::function<void(const absl::Status&)> close;
  {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(session);
    if (found == streams_.end()) return;
    close = found->second.close;
  }
  close(why);
}

void Sessions::CloseAll(const absl::Status& why) const {
  std::vector<std::function<void(const absl::Status&)>> closes;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [session, stream] : streams_) closes.push_back(stream.close);
  }
  for (const auto& close : closes) close(why);
}

}  // namespace mixln::services::coordinatord
