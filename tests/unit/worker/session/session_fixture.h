// A session with its coordinator and its agent played by a test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "worker/session/session.h"

namespace mixln::worker::session {

inline AttemptKey Key(uint64_t epoch, std::string trial = "s-0") {
  return {std::move(trial), 7, epoch};
}

inline v1::Reserve MakeReserve(const AttemptKey& key, std::vector<int> slots = {0}) {
  v1::Reserve reserve;
  reserve.set_trial_id(key.trial_id);
  reserve.mutable_fence()->set_term(key.term);
  reserve.mutable_fence()->set_epoch(key.epoch);
  for (size_t i = 0; i < slots.size(); ++i) {
    v1::RankPlacement& rank = *reserve.add_ranks();
    rank.set_rank(static_cast<int>(i));
    rank.set_slot(slots[i]);
  }
  reserve.set_world_size(static_cast<int>(slots.size()));
  return reserve;
}

template <typename Message>
void Name(Message& message, const AttemptKey& key) {
  message.set_trial_id(key.trial_id);
  message.mutable_fence()->set_term(key.term);
  message.mutable_fence()->set_epoch(key.epoch);
}

// A session with two slots, its clock, and the coordinator's and the agent's lines in the play.
class WorkerSession : public testing::Test {
 protected:
  WorkerSession() : session_(MakeOptions(), now_) {}

  static Options MakeOptions() {
    Options options;
    options.identity.set_worker_id("w");
    for (int i = 0; i < 2; ++i) options.identity.add_slots()->set_index(i);
    options.highest_term = 5;
    return options;
  }

  Output Do(const Event& event) { return last_ = session_.Step(event, now_); }
  Output After(double seconds, const Event& event = Tick{}) {
    now_ = now_ + base::Seconds(seconds);
    return Do(event);
  }
  Output Say(const v1::CoordinatorMessage& message) { return Do(Received{message}); }

  Output Welcome(uint64_t term = 7, const std::vector<AttemptKey>& keep = {}, uint64_t cursor = 0) {
    v1::CoordinatorMessage message;
    v1::Welcome& welcome = *message.mutable_welcome();
    welcome.set_term(term);
    welcome.set_cluster_id("c");
    welcome.set_heartbeat_seconds(2);
    welcome.set_lease_seconds(8);
    for (const AttemptKey& key : keep) {
      Name(*welcome.add_keep(), key);
      Name(*welcome.add_cursors(), key);
      welcome.mutable_cursors()->rbegin()->set_sequence(cursor);
    }
    return Say(message);
  }
  Output Connect(const std::vector<AttemptKey>& keep = {}, uint64_t cursor = 0) {
    Do(Connected{});
    return Welcome(7, keep, cursor);
  }
  Output SayReserve(const v1::Reserve& reserve) {
    v1::CoordinatorMessage message;
    *message.mutable_reserve() = reserve;
    return Say(message);
  }
  Output SayStart(const AttemptKey& key) {
    v1::CoordinatorMessage message;
    Name(*message.mutable_start(), key);
    return Say(message);
  }
  Output SayStop(const AttemptKey& key, v1::StopMode mode = v1::STOP_MODE_CHECKPOINT) {
    v1::CoordinatorMessage message;
    Name(*message.mutable_stop(), key);
    message.mutable_stop()->set_mode(mode);
    return Say(message);
  }
  Output SayFenced(const AttemptKey& key) {
    v1::CoordinatorMessage message;
    Name(*message.mutable_stop(), key);
    message.mutable_stop()->set_mode(v1::STOP_MODE_NOW);
    message.mutable_stop()->set_fenced(true);
    return Say(message);
  }
  Output SayEventAck(const AttemptKey& key, uint64_t sequence) {
    v1::CoordinatorMessage message;
    Name(*message.mutable_event_ack(), key);
    message.mutable_event_ack()->set_sequence(sequence);
    return Say(message);
  }
  Output AnswerHeartbeat(uint64_t sequence, bool lease_only = false) {
    v1::CoordinatorMessage message;
    message.mutable_heartbeat_ack()->set_sequence(sequence);
    message.mutable_heartbeat_ack()->set_lease_only(lease_only);
    return Say(message);
  }
  void Run(const AttemptKey& key, std::vector<int> slots = {0}) {
    SayReserve(MakeReserve(key, std::move(slots)));
    Do(Prepared{key, ""});
    SayStart(key);
    Do(RanksStarted{key});
  }
  Output RankEnds(const AttemptKey& key, v1::AttemptOutcome outcome, uint64_t last = 0,
                  v1::FailureCause cause = v1::FAILURE_CAUSE_UNSPECIFIED, int rank = 0) {
    return Do(
        RankEnded{key, rank, {outcome, cause, cause == v1::FAILURE_CAUSE_UNSPECIFIED ? "" : "why"}, last});
  }
  static EventsRead Read(const AttemptKey& key, uint64_t from, uint64_t to) {
    EventsRead read{key, 0, {}};
    for (uint64_t sequence = from; sequence <= to; ++sequence)
      read.events.emplace_back().set_sequence(sequence);
    return read;
  }

  static std::vector<v1::AttemptReport> Reports(const Output& output) {
    std::vector<v1::AttemptReport> reports;
    for (const v1::WorkerMessage& message : output.messages)
      if (message.has_report()) reports.push_back(message.report());
    return reports;
  }
  static std::optional<v1::AttemptReport> Ended(const Output& output) {
    for (const v1::AttemptReport& report : Reports(output))
      if (report.phase() == v1::ATTEMPT_PHASE_ENDED) return report;
    return std::nullopt;
  }
  static std::optional<v1::Heartbeat> HeartbeatIn(const Output& output) {
    for (const v1::WorkerMessage& message : output.messages)
      if (message.has_heartbeat()) return message.heartbeat();
    return std::nullopt;
  }
  static std::optional<v1::EventBatch> Batch(const Output& output) {
    for (const v1::WorkerMessage& message : output.messages)
      if (message.has_events()) return message.events();
    return std::nullopt;
  }
  template <typename Kind>
  static const Kind* Ordered(const Output& output) {
    for (const Order& order : output.orders)
      if (const Kind* found = std::get_if<Kind>(&order)) return found;
    return nullptr;
  }

  base::Time now_{base::Seconds(1000).count()};
  Session session_;
  Output last_;
};

}  // namespace mixln::worker::session
