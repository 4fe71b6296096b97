#include "worker/session/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mixln::worker::session {
namespace {

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
// Clang before 17 does not deduce aggregates by itself.
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

constexpr char kNoLease[] = "no heartbeat was answered for as long as the lease lasts";

// How much a rank's failure says of why its attempt failed. A rank that loses a peer or is killed in a stop
// may be seen to have ended before the one whose failure did that to it, and those that wait for a rank that
// hangs before that one.
int Weight(const RankEnd& end) {
  if (end.cause == v1::FAILURE_CAUSE_HANG) return 3;
  if (end.killed) return 0;
  return end.cause == v1::FAILURE_CAUSE_PEER_LOST ? 1 : 2;
}

}  // namespace

Session::Session(Options options, base::Time now)
    : options_(std::move(options)), answered_(now), ticked_(now) {}

bool Session::HasLease(base::Time now) const {
  return now < answered_ + lease_;
}

bool Session::SlotIsHeld(int32_t slot) const {
  for (const auto& [key, attempt] : attempts_) {
    if (!HoldsSlots(attempt)) continue;
    for (const v1::RankPlacement& rank : attempt.reserve.ranks())
      if (rank.slot() == slot) return true;
  }
  return false;
}

Output Session::Step(const Event& event, base::Time now) {
  out_ = {};
  const auto with_attempt = [&](const AttemptKey& key, auto action) {
    if (Attempt* attempt = Find(key)) action(*attempt);
  };
  std::visit(
      Overloaded{
          [&](const Connected&) { OnConnected(now); },
          [&](const Disconnected&) { OnDisconnected(); },
          [&](const Received& received) { OnMessage(received.message, now); },
          [&](const Adopted& adopted) { OnAdopted(adopted); },
          [&](const PrepareProgress& progress) {
            with_attempt(progress.key, [&](Attempt& attempt) {
              if (attempt.phase != v1::ATTEMPT_PHASE_PREPARING || attempt.detail == progress.detail) return;
              attempt.detail = progress.detail;
              Report(attempt);
            });
          },
          [&](const Prepared& prepared) {
            with_attempt(prepared.key, [&](Attempt& attempt) {
              attempt.prepared = true;
              attempt.rendezvous = prepared.rendezvous;
            });
          },
          [&](const PrepareFailed& failed) {
            with_attempt(failed.key, [&](Attempt& attempt) {
              if (attempt.phase == v1::ATTEMPT_PHASE_PREPARING)
                End(attempt, {v1::ATTEMPT_OUTCOME_FAILED, failed.cause, failed.message});
            });
          },
          [&](const RanksStarted& started) {
            with_attempt(started.key, [&](Attempt& attempt) {
              if (attempt.phase != v1::ATTEMPT_PHASE_RESERVED) return;
              attempt.phase = v1::ATTEMPT_PHASE_RUNNING;
              Report(attempt);
            });
          },
          [&](const RankEnded& ended) { OnRankEnded(ended); },
          [&](const EventsRead& read) { OnEventsRead(read); },
          [&](const LogRead& read) {
            if (welcomed_) *out_.messages.emplace_back().mutable_log() = read.chunk;
          },
          [&](const ShutDown&) {
            draining_ = true;
            StopAll({v1::STOP_MODE_CHECKPOINT, StopOrigin::kHandedBack, "the worker is shutting down"});
            if (welcomed_ && HasLease(now)) SendHeartbeat(now);
          },
          [&](const Tick&) { OnTick(now); },
      },
      event);
  Settle();
  return std::move(out_);
}

void Session::OnConnected(base::Time now) {
  connected_ = true;
  welcomed_ = false;
  hello_sent_ = now;
  v1::Hello& hello = *out_.messages.emplace_back().mutable_hello();
  hello = options_.identity;
  hello.set_highest_term(options_.highest_term);
  hello.set_cluster_id(options_.cluster_id);
  for (const auto& [key, attempt] : attempts_) {
    *hello.add_attempts() = StatusOf(attempt);
    if (!HoldsSlots(attempt)) continue;
    for (const v1::RankPlacement& rank : attempt.reserve.ranks())
      for (v1::Slot& slot : *hello.mutable_slots())
        if (slot.index() == rank.slot()) slot.set_trial_id(key.trial_id);
  }
}

void Session::OnDisconnected() {
  connected_ = false;
  welcomed_ = false;
  unanswered_.clear();
  refused_.clear();
  for (auto& [key, attempt] : attempts_) attempt.confirming_heartbeat = 0;
}

void Session::OnMessage(const v1::CoordinatorMessage& message, base::Time now) {
  using Kind = v1::CoordinatorMessage;
  if (!connected_) return;
  if (message.message_case() == Kind::kWelcome) return OnWelcome(message.welcome(), now);
  if (!welcomed_) {
    out_.close_reason = "the coordinator's first message was no welcome";
    return;
  }
  // It stood still since that was said, and the attempt is another worker's by now.
  if ((message.has_reserve() || message.has_start()) && !HasLease(now)) {
    out_.close_reason = kNoLease;
    return;
  }
  switch (message.message_case()) {
    case Kind::kHeartbeatAck: return OnHeartbeatAck(message.heartbeat_ack());
    case Kind::kReserve: return OnReserve(message.reserve());
    case Kind::kStart: return OnStart(message.start());
    case Kind::kStop: return OnStop(message.stop());
    case Kind::kEventAck: return OnEventAck(message.event_ack());
    case Kind::kDelete:
      out_.orders.push_back(
          DeleteFolders{{message.delete_().paths().begin(), message.delete_().paths().end()}});
      return;
    case Kind::kLogRequest: out_.orders.push_back(ReadLog{message.log_request()}); return;
    case Kind::kWelcome:
    case Kind::MESSAGE_NOT_SET:  // of a newer coordinator: nothing that this worker must obey
      return;
  }
}

void Session::OnWelcome(const v1::Welcome& welcome, base::Time now) {
  if (!options_.cluster_id.empty() && welcome.cluster_id() != options_.cluster_id) {
    out_.close_reason =
        absl::StrCat("the coordinator's cluster is ", welcome.cluster_id(), ", but this worker belongs to ",
                     options_.cluster_id, ": give it another state folder with --state-dir");
    return;
  }
  if (welcome.term() < options_.highest_term) {
    out_.close_reason =
        absl::StrCat("the coordinator is in term ", welcome.term(), ", but this worker has served term ",
                     options_.highest_term, ": it was restored from an old copy, or two are running");
    return;
  }
  out_.orders.push_back(ClaimArtifacts{welcome.cluster_id()});
  if (welcome.term() > options_.highest_term || options_.cluster_id.empty()) {
    options_.cluster_id = welcome.cluster_id();
    options_.highest_term = welcome.term();
    out_.orders.push_back(KeepTerm{welcome.cluster_id(), welcome.term()});
  }
  welcomed_ = true;
  answered_ = hello_sent_;
  if (welcome.heartbeat_seconds() > 0) heartbeat_interval_ = base::Seconds(welcome.heartbeat_seconds());
  if (welcome.lease_seconds() > 0) lease_ = base::Seconds(welcome.lease_seconds());
  next_heartbeat_ = now;

  std::set<AttemptKey> kept;
  for (const v1::AttemptStatus& status : welcome.keep()) kept.insert(KeyOf(status));
  for (const auto& [key, attempt] : attempts_)
    if (!kept.contains(key)) out_.orders.push_back(DropMetrics{key});
  Show(true);  // after the fenced ones are gone
  for (auto& [key, attempt] : attempts_)
    for (auto& [rank, progress] : attempt.ranks) progress.sent = progress.acknowledged = 0;
  for (const v1::EventAck& cursor : welcome.cursors()) OnEventAck(cursor);
  for (auto it = attempts_.begin(); it != attempts_.end();) {
    auto& [key, attempt] = *it;
    const bool ended = attempt.phase == v1::ATTEMPT_PHASE_ENDED;
    if (!kept.contains(key) && ended) {
      out_.orders.push_back(Forget{key});
      it = attempts_.erase(it);
      continue;
    }
    if (!kept.contains(key)) {
      RequestStop(attempt,
                  {v1::STOP_MODE_NOW, StopOrigin::kFenced, "the coordinator no longer keeps this attempt"});
    } else {
      Report(attempt);
    }
    ++it;
  }
}

void Session::OnHeartbeatAck(const v1::HeartbeatAck& ack) {
  while (!unanswered_.empty() && unanswered_.front().first <= ack.sequence()) {
    if (unanswered_.front().first == ack.sequence())
      answered_ = std::max(answered_, unanswered_.front().second);
    unanswered_.pop_front();
  }
  if (ack.lease_only()) return;
  for (auto it = attempts_.begin(); it != attempts_.end();) {
    const uint64_t needed = it->second.confirming_heartbeat;
    if (it->second.phase == v1::ATTEMPT_PHASE_ENDED && needed != 0 && ack.sequence() >= needed) {
      out_.orders.push_back(Forget{it->first});
      it = attempts_.erase(it);
    } else {
      ++it;
    }
  }
}

void Session::OnReserve(const v1::Reserve& reserve) {
  const AttemptKey key = KeyOf(reserve);
  if (Attempt* known = Find(key)) return Report(*known);
  for (auto& [other, attempt] : attempts_) {
    if (other.trial_id == key.trial_id && other > key)
      return Refuse(key, {v1::ATTEMPT_OUTCOME_STOPPED, {}, "a newer attempt is here"});
  }
  if (draining_)
    return Refuse(key,
                  {v1::ATTEMPT_OUTCOME_FAILED, v1::FAILURE_CAUSE_PREEMPTED, "the worker is shutting down"});
  for (const v1::RankPlacement& rank : reserve.ranks()) {
    const auto& slots = options_.identity.slots();
    if (std::none_of(slots.begin(), slots.end(),
                     [&](const v1::Slot& slot) { return slot.index() == rank.slot(); }))
      return Refuse(key, {v1::ATTEMPT_OUTCOME_FAILED, v1::FAILURE_CAUSE_START_TIMEOUT,
                          absl::StrCat("this worker has no slot ", rank.slot(), "; it has ", slots.size())});
    for (const auto& [other, attempt] : attempts_) {
      const auto& held = attempt.reserve.ranks();
      if (other.trial_id != key.trial_id && HoldsSlots(attempt) && !attempt.stop &&
          std::any_of(held.begin(), held.end(), [&](const auto& its) { return its.slot() == rank.slot(); }))
        return Refuse(key, {v1::ATTEMPT_OUTCOME_FAILED, v1::FAILURE_CAUSE_START_TIMEOUT,
                            absl::StrCat("slot ", rank.slot(), " is held by attempt ", ToString(other))});
    }
  }
  Add(reserve);
  out_.orders.push_back(Prepare{reserve});
  Report(attempts_[key]);
}

void Session::OnStart(const v1::Start& start) {
  const AttemptKey key = KeyOf(start);
  Attempt* attempt = Find(key);
  if (attempt == nullptr)
    return Refuse(key, {v1::ATTEMPT_OUTCOME_FAILED, v1::FAILURE_CAUSE_WORKER_LOST,
                        "the worker does not know this attempt"});
  if (attempt->phase == v1::ATTEMPT_PHASE_RUNNING || attempt->phase == v1::ATTEMPT_PHASE_ENDED)
    return Report(*attempt);
  attempt->start = start.rendezvous();
}

void Session::OnStop(const v1::Stop& stop) {
  const AttemptKey key = KeyOf(stop);
  Attempt* attempt = Find(key);
  if (attempt == nullptr) return Refuse(key, {v1::ATTEMPT_OUTCOME_STOPPED, {}, "there was nothing to stop"});
  if (attempt->phase == v1::ATTEMPT_PHASE_ENDED)
    return;  // said before, and said again with the next heartbeat
  const v1::StopMode mode =
      stop.mode() == v1::STOP_MODE_CHECKPOINT ? v1::STOP_MODE_CHECKPOINT : v1::STOP_MODE_NOW;
  RequestStop(*attempt,
              {mode, stop.fenced() ? StopOrigin::kFenced : StopOrigin::kCoordinator, stop.reason()});
}

void Session::OnEventAck(const v1::EventAck& ack) {
  Attempt* attempt = Find(KeyOf(ack));
  if (attempt == nullptr) return;
  const auto rank = attempt->ranks.find(ack.rank());
  if (rank == attempt->ranks.end()) return;
  RankProgress& progress = rank->second;
  progress.acknowledged = std::max<uint64_t>(progress.acknowledged, ack.sequence());
  progress.sent = std::max(progress.sent, progress.acknowledged);
}

void Session::OnAdopted(const Adopted& adopted) {
  Add(adopted.reserve);
  const AttemptKey key = KeyOf(adopted.reserve);
  Attempt& attempt = attempts_[key];
  attempt.stop = adopted.stop;
  if (adopted.started) {
    attempt.prepared = attempt.started = true;
    attempt.phase = v1::ATTEMPT_PHASE_RUNNING;
    if (attempt.stop) out_.orders.push_back(StopRanks{key, *attempt.stop});
  } else if (!attempt.stop) {
    out_.orders.push_back(Prepare{adopted.reserve});
  }
}

void Session::OnRankEnded(const RankEnded& ended) {
  Attempt* attempt = Find(ended.key);
  if (attempt == nullptr) return;
  const auto it = attempt->ranks.find(ended.rank);
  if (it == attempt->ranks.end() || it->second.end) return;
  it->second.end = ended.end;
  it->second.last_sequence = ended.last_sequence;
  std::optional<RankEnd>& first = attempt->first_failure;
  if (ended.end.outcome == v1::ATTEMPT_OUTCOME_FAILED && (!first || Weight(ended.end) > Weight(*first)))
    first = ended.end;
  if (AllRanksEnded(*attempt)) return;
  // The others cannot go on without it, but may be waiting for it in a collective.
  if (ended.end.outcome == v1::ATTEMPT_OUTCOME_FAILED || ended.end.outcome == v1::ATTEMPT_OUTCOME_DIVERGED)
    RequestStop(*attempt, {v1::STOP_MODE_NOW, StopOrigin::kPeerEnded, "another rank of the attempt failed"});
}

void Session::OnEventsRead(const EventsRead& read) {
  Attempt* attempt = Find(read.key);
  if (attempt == nullptr || !welcomed_) return;
  const auto rank = attempt->ranks.find(read.rank);
  if (rank == attempt->ranks.end()) return;
  RankProgress& progress = rank->second;
  v1::EventBatch batch;
  for (const v1::RankEvent& event : read.events) {
    if (event.sequence() != progress.sent + 1) continue;
    *batch.add_events() = event;
    progress.sent = event.sequence();
  }
  if (batch.events().empty()) return;
  batch.set_trial_id(read.key.trial_id);
  *batch.mutable_fence() = attempt->reserve.fence();
  batch.set_rank(read.rank);
  *out_.messages.emplace_back().mutable_events() = std::move(batch);
}

void Session::OnTick(base::Time now) {
  // Its machine was suspended, say: it could reach nobody meanwhile, and has all of its time to do so.
  if (now - std::exchange(ticked_, now) > lease_ / 2) stood_still_until_ = now;
  if (!HasLease(now)) Show(false);
  if (welcomed_ && !HasLease(now)) out_.close_reason = kNoLease;
  if (!welcomed_ && connected_ && now > hello_sent_ + lease_)
    out_.close_reason = "the coordinator did not answer the hello";
  if (!welcomed_ && now > std::max(answered_, stood_still_until_) + options_.orphan_grace)
    StopAll(
        {v1::STOP_MODE_CHECKPOINT, StopOrigin::kOrphaned, "no coordinator could be reached for too long"});
  // Nothing is said on a stream that is left: a heartbeat proves that what came before it was heard.
  if (!welcomed_ || !HasLease(now)) return;
  if (now >= next_heartbeat_) SendHeartbeat(now);
  ReadMore();
}

}  // namespace mixln::worker::session
