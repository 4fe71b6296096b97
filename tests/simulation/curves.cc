#include "curves.h"

#include <algorithm>

namespace mixln::simulation {

namespace {

constexpr double kCommitEvery = 1;  // seconds

bool IsWaitedFor(const v1::EventBatch& batch) {
  return std::any_of(batch.events().begin(), batch.events().end(),
                     [](const v1::RankEvent& event) { return event.has_finished() || event.has_failed(); });
}

}  // namespace

void Curves::Append(const v1::EventBatch& batch, Stored stored) {
  if (acknowledges_early_) {
    v1::EventAck ack = Cursor(batch.trial_id(), batch.fence(), batch.rank());
    ack.set_sequence(std::max(ack.sequence(), batch.events().rbegin()->sequence()));
    stored(ack);
    stored = [](const v1::EventAck&) {};
  }
  queue_.emplace_back(batch, std::move(stored));
  if (IsWaitedFor(batch)) {
    CommitSoon(0.01);
  } else if (queue_.size() == 1) {
    CommitSoon(kCommitEvery);
  }
}

void Curves::Hurry() {
  if (!fail && !queue_.empty()) CommitSoon(0.01);
}

void Curves::CommitSoon(double seconds) {
  scheduler_.After(scheduler_.Between(0, seconds), [this, number = ++commits_] {
    still_.Do([this, number] {
      if (number == commits_) Commit();
    });
  });
}

void Curves::Commit() {
  if (fail) return CommitSoon(kCommitEvery);
  for (const auto& [batch, stored] : std::exchange(queue_, {})) stored(Store(batch));
}

v1::EventAck Curves::Store(const v1::EventBatch& batch) {
  uint64_t& cursor = cursors_[{batch.trial_id(), batch.fence().epoch(), batch.rank()}];
  for (const v1::RankEvent& event : batch.events()) {
    if (event.sequence() != cursor + 1) continue;
    cursor = event.sequence();
    if (batch.rank() == 0) ledger_.Recorded(batch.trial_id(), event);
  }
  const v1::EventAck stored = Cursor(batch.trial_id(), batch.fence(), batch.rank());
  ledger_.EventsStored(stored);
  return stored;
}

v1::EventAck Curves::Cursor(const std::string& trial_id, const v1::Fence& fence, int32_t rank) const {
  v1::EventAck cursor;
  cursor.set_trial_id(trial_id);
  *cursor.mutable_fence() = fence;
  cursor.set_rank(rank);
  if (const auto found = cursors_.find({trial_id, fence.epoch(), rank}); found != cursors_.end())
    cursor.set_sequence(found->second);
  return cursor;
}

void Curves::LoseQueue() {
  queue_.clear();
  ++commits_;
}

}  // namespace mixln::simulation
