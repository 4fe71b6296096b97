// The part of Session that moves attempts along: stops, reports, event windows, and the transitions between
// phases.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/session/session.h"

namespace mixln::worker::session {
namespace {

// A stop may become stricter, and the coordinator's word counts more than the worker's own.
bool Replaces(const StopRequest& stop, const std::optional<StopRequest>& old) {
  if (!old) return true;
  if (stop.origin == StopOrigin::kPeerEnded) return false;
  if (stop.origin == StopOrigin::kFenced) return old->origin != StopOrigin::kFenced;
  if (stop.mode == v1::STOP_MODE_NOW && old->mode != v1::STOP_MODE_NOW) return true;
  const auto is_own = [](StopOrigin origin) {
    return origin == StopOrigin::kOrphaned || origin == StopOrigin::kHandedBack;
  };
  return is_own(old->origin) && !is_own(stop.origin);
}

}  // namespace

Attempt* Session::Find(const AttemptKey& key) {
  const auto it = attempts_.find(key);
  return it == attempts_.end() ? nullptr : &it->second;
}

void Session::Add(const v1::Reserve& reserve) {
  const AttemptKey key = KeyOf(reserve);
  for (auto& [other, attempt] : attempts_)
    if (other.trial_id == key.trial_id && other < key)
      RequestStop(attempt, {v1::STOP_MODE_NOW, StopOrigin::kFenced,
                            absl::StrCat("replaced by attempt ", ToString(key))});
  Attempt& attempt = attempts_[key];
  attempt.reserve = reserve;
  for (const v1::RankPlacement& rank : reserve.ranks()) attempt.ranks[rank.rank()] = {};
}

void Session::RequestStop(Attempt& attempt, const StopRequest& stop) {
  if (attempt.phase == v1::ATTEMPT_PHASE_ENDED || !Replaces(stop, attempt.stop)) return;
  attempt.stop = stop;
  if (!AllRanksEnded(attempt)) out_.orders.push_back(StopRanks{KeyOf(attempt.reserve), stop});
}

void Session::StopAll(const StopRequest& stop) {
  for (auto& [key, attempt] : attempts_)
    if (!attempt.stop) RequestStop(attempt, stop);
}

void Session::Report(Attempt& attempt) {
  if (!welcomed_) return;
  *out_.messages.emplace_back().mutable_report() = ReportOf(attempt);
  if (attempt.phase == v1::ATTEMPT_PHASE_ENDED && attempt.confirming_heartbeat == 0)
    attempt.confirming_heartbeat = heartbeat_sequence_ + 1;
}

void Session::Refuse(const AttemptKey& key, RankEnd end) {
  if (!refused_.insert(key).second) return;
  v1::AttemptReport& report = *out_.messages.emplace_back().mutable_report();
  report.set_trial_id(key.trial_id);
  report.mutable_fence()->set_term(key.term);
  report.mutable_fence()->set_epoch(key.epoch);
  report.set_phase(v1::ATTEMPT_PHASE_ENDED);
  report.set_outcome(end.outcome);
  report.set_cause(end.cause);
  report.set_message(std::move(end.message));
}

void Session::SendHeartbeat(base::Time now) {
  refused_.clear();
  for (auto& [key, attempt] : attempts_)
    if (attempt.phase == v1::ATTEMPT_PHASE_ENDED) Report(attempt);
  v1::Heartbeat& heartbeat = *out_.messages.emplace_back().mutable_heartbeat();
  heartbeat.set_sequence(++heartbeat_sequence_);
  heartbeat.set_draining(draining_);
  for (const auto& [key, attempt] : attempts_) *heartbeat.add_attempts() = StatusOf(attempt);
  unanswered_.emplace_back(heartbeat_sequence_, now);
  next_heartbeat_ = now + heartbeat_interval_;
}

void Session::Show(bool visible) {
  if (metrics_visible_ == visible) return;
  metrics_visible_ = visible;
  out_.orders.push_back(ShowMetrics{visible});
}

void Session::ReadMore() {
  uint64_t unacknowledged = 0;
  std::vector<ReadEvents> reads;
  for (const auto& [key, attempt] : attempts_) {
    if (!attempt.started || attempt.phase == v1::ATTEMPT_PHASE_ENDED) continue;
    if (attempt.stop && attempt.stop->origin == StopOrigin::kFenced) continue;
    for (const auto& [rank, progress] : attempt.ranks) {
      unacknowledged += progress.sent - progress.acknowledged;
      if (progress.end && progress.sent >= progress.last_sequence) continue;
      reads.push_back({key, rank, progress.sent, 0});
    }
  }
  if (reads.empty() || unacknowledged >= options_.window_events) return;
  auto room = static_cast<int>(options_.window_events - unacknowledged);
  const int share = std::clamp(room / static_cast<int>(reads.size()), 1, options_.batch_events);
  for (ReadEvents& read : reads) {
    read.limit = std::min(share, room);
    if (read.limit == 0) return;
    room -= read.limit;
    out_.orders.push_back(std::move(read));
  }
}

void Session::Settle() {
  for (auto& [key, attempt] : attempts_) {
    if (attempt.phase == v1::ATTEMPT_PHASE_ENDED) continue;
    if (attempt.started) {
      SettleRunning(attempt);
    } else {
      SettleStarting(key, attempt);
    }
  }
}

void Session::SettleStarting(const AttemptKey& key, Attempt& attempt) {
  if (attempt.stop) return End(attempt, EndOf(attempt));
  if (attempt.phase == v1::ATTEMPT_PHASE_PREPARING && attempt.prepared) {
    const std::string holder = HolderOfSlots(key, attempt);
    if (!holder.empty()) {
      const std::string detail = absl::StrCat("waits for its slot, which ", holder, " still holds");
      if (std::exchange(attempt.detail, detail) != detail) Report(attempt);
      return;
    }
    attempt.phase = v1::ATTEMPT_PHASE_RESERVED;
    Report(attempt);
  }
  if (attempt.phase == v1::ATTEMPT_PHASE_RESERVED && attempt.start) {
    attempt.started = true;
    out_.orders.push_back(StartRanks{key, *attempt.start});
  }
}

void Session::SettleRunning(Attempt& attempt) {
  if (!AllRanksEnded(attempt)) return;
  const bool fenced = attempt.stop && attempt.stop->origin == StopOrigin::kFenced;
  if (fenced || AllEventsAcknowledged(attempt)) End(attempt, EndOf(attempt));
}

std::string Session::HolderOfSlots(const AttemptKey& key, const Attempt& attempt) const {
  for (const auto& [other, theirs] : attempts_) {
    // Of two that wait for one slot, the one that was reserved first (or whose ranks are still ending) goes
    // first.
    const bool comes_first = theirs.started || theirs.phase == v1::ATTEMPT_PHASE_RESERVED;
    if (other == key || !comes_first || !HoldsSlots(theirs)) continue;
    for (const v1::RankPlacement& rank : attempt.reserve.ranks())
      for (const v1::RankPlacement& its : theirs.reserve.ranks())
        if (rank.slot() == its.slot()) return absl::StrCat("attempt ", ToString(other));
  }
  return "";
}

void Session::End(Attempt& attempt, RankEnd end) {
  attempt.end = std::move(end);
  attempt.phase = v1::ATTEMPT_PHASE_ENDED;
  Report(attempt);
}

}  // namespace mixln::worker::session
