#include "services/coordinatord/event_intake.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace mixln::services::coordinatord {
namespace {

// Events. More than a worker has unacknowledged, so that its heartbeats never wait behind them.
constexpr size_t kMostWaiting = 4096;

// One without events counts, too.
size_t CountOf(const v1::EventBatch& batch) {
  return static_cast<size_t>(std::max(batch.events_size(), 1));
}

bool BeginsWithCheckpoint(const v1::EventBatch& batch) {
  return !batch.events().empty() && batch.events(0).has_checkpoint_done();
}

// The batch, cut in front of each checkpoint.
std::vector<v1::EventBatch> Cut(v1::EventBatch batch) {
  google::protobuf::RepeatedPtrField<v1::RankEvent> events;
  events.Swap(batch.mutable_events());
  std::vector<v1::EventBatch> pieces{batch};
  for (v1::RankEvent& event : events) {
    if (event.has_checkpoint_done() && !pieces.back().events().empty()) pieces.push_back(batch);
    *pieces.back().add_events() = std::move(event);
  }
  return pieces;
}

}  // namespace

void EventIntake::Add(v1::EventBatch batch, std::function<void()> admitted) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    for (v1::EventBatch& piece : Cut(std::move(batch))) {
      waiting_events_ += CountOf(piece);
      waiting_.push_back(std::move(piece));
    }
    if (waiting_events_ > kMostWaiting) admitted_ = std::exchange(admitted, nullptr);
  }
  if (admitted) admitted();
  Next();
}

void EventIntake::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  waiting_.clear();
  admitted_ = nullptr;
}

void EventIntake::Next() {
  std::optional<v1::EventBatch> batch;
  std::function<void()> admitted;
  {
    const std::lock_guard lock(mutex_);
    if (taking_ || waiting_.empty()) return;
    if (unstored_ == 0 || !BeginsWithCheckpoint(waiting_.front())) {
      batch = std::move(waiting_.front());
      waiting_.pop_front();
      waiting_events_ -= CountOf(*batch);
      if (waiting_events_ <= kMostWaiting) admitted = std::exchange(admitted_, nullptr);
      taking_ = true;
      hurried_ = false;
    } else if (std::exchange(hurried_, true)) {
      return;
    }
  }
  if (!batch) return effects_.hurry();
  if (admitted) admitted();
  effects_.take(*batch, [self = shared_from_this(), batch = *batch](bool taken) mutable {
    self->Taken(std::move(batch), taken);
  });
}

void EventIntake::Taken(v1::EventBatch batch, bool taken) {
  if (taken) {
    {
      const std::lock_guard lock(mutex_);
      ++unstored_;
    }
    effects_.store(std::move(batch), [self = shared_from_this()] { self->Stored(); });
  }
  {
    const std::lock_guard lock(mutex_);
    taking_ = false;
    hurried_ = false;
  }
  Next();
}

void EventIntake::Stored() {
  {
    const std::lock_guard lock(mutex_);
    --unstored_;
  }
  Next();
}

}  // namespace mixln::services::coordinatord
