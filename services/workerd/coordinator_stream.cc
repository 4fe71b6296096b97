#include "services/workerd/coordinator_stream.h"

#include <unistd.h>

#include <cstdint>
#include <utility>

#include "services/rpc/client.h"

namespace mixln::services::workerd {

CoordinatorStream::CoordinatorStream(const std::shared_ptr<grpc::Channel>& channel, int wake_fd)
    : wake_fd_(wake_fd), stub_(v1::WorkerSessionService::NewStub(channel)) {
  rpc::Prepare(context_, /*deadline_seconds=*/0);
  stub_->async()->Connect(&context_, this);
  // Writes come from the daemon's loop and not from a reaction: the hold keeps the stream from ending under
  // them.
  AddHold();
  StartRead(&incoming_);
  StartCall();
}

CoordinatorStream::~CoordinatorStream() {
  context_.TryCancel();
  std::unique_lock lock(mutex_);
  ended_changed_.wait(lock, [&] { return ended_.has_value(); });
}

void CoordinatorStream::Send(v1::WorkerMessage message) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  outgoing_.push_back(std::move(message));
  if (outgoing_.size() == 1) StartWrite(&outgoing_.front());
}

std::vector<v1::CoordinatorMessage> CoordinatorStream::Receive() {
  const std::lock_guard lock(mutex_);
  return std::exchange(received_, {});
}

std::optional<grpc::Status> CoordinatorStream::Ended() {
  const std::lock_guard lock(mutex_);
  return ended_;
}

absl::Status CoordinatorStream::CheckVersion() const {
  return rpc::CheckServerVersion(context_);
}

void CoordinatorStream::OnReadDone(bool ok) {
  {
    const std::lock_guard lock(mutex_);
    if (ok) received_.push_back(std::move(incoming_));
    closed_ = !ok;
  }
  Wake();
  if (ok) {
    incoming_.Clear();
    StartRead(&incoming_);
  } else {
    RemoveHold();
  }
}

void CoordinatorStream::OnWriteDone(bool ok) {
  const std::lock_guard lock(mutex_);
  outgoing_.pop_front();
  if (ok && !closed_ && !outgoing_.empty()) StartWrite(&outgoing_.front());
}

void CoordinatorStream::OnDone(const grpc::Status& status) {
  // The destructor may go on as soon as the lock is free: nothing may be touched after.
  const std::lock_guard lock(mutex_);
  ended_ = status;
  Wake();
  ended_changed_.notify_all();
}

void CoordinatorStream::Wake() const {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written =
      write(wake_fd_, &one, sizeof one);  // fails only when a wake is pending
}

}  // namespace mixln::services::workerd
