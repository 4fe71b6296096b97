// The worker's side of the protocol as a state machine: (state, event, now) -> orders to the agent and
// messages to the coordinator. It does no I/O and reads no clock, so that it runs in a simulator as well as
// in the daemon.
//
// What it promises (docs/architecture.md §5):
// - A coordinator with a term below the highest seen is refused. An attempt that the coordinator does not
// keep is stopped.
// - Reports are repeated until the coordinator is known to have them: on each reconnect, and ENDED before
// every heartbeat until
//   one sent after it is answered.
// - The worker's lease counts from the send time of its last answered heartbeat. Once it has run out, metric
// series are hidden
//   until reconciled, and those of an attempt that the coordinator does not keep stay away; ranks train on,
//   and are stopped with a checkpoint after orphan_grace.
// - ENDED is said only when every rank here is gone, its slots are free, and its events are acknowledged,
// unless
//   the attempt is fenced: nothing of it is acknowledged.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>

#include "base/time/time.h"
#include "mixln/v1/session.pb.h"
#include "worker/session/attempt.h"
#include "worker/session/event.h"
#include "worker/session/order.h"

namespace mixln::worker::session {

struct Options {
  v1::Hello identity;         // worker_id, instance, hostname, version, slots, metrics_address
  std::string cluster_id;     // served by earlier daemons with this state folder; empty: none
  uint64_t highest_term = 0;  // seen by them
  base::Duration orphan_grace = base::Seconds(1800);
  int batch_events = 256;         // events in one batch at most
  uint64_t window_events = 1024;  // unacknowledged events of all ranks here at most
};

class Session {
 public:
  Session(Options options, base::Time now);

  Output Step(const Event& event, base::Time now);

  // Whether the coordinator has welcomed this worker on the stream that is open.
  bool welcomed() const { return welcomed_; }
  // Whether the worker's own lease is valid.
  bool HasLease(base::Time now) const;
  uint64_t highest_term() const { return options_.highest_term; }
  const std::map<AttemptKey, Attempt>& attempts() const { return attempts_; }
  // Whether a slot is held by some attempt.
  bool SlotIsHeld(int32_t slot) const;

 private:
  void OnConnected(base::Time now);
  void OnDisconnected();
  void OnWelcome(const v1::Welcome& welcome, base::Time now);
  void OnHeartbeatAck(const v1::HeartbeatAck& ack);
  void OnReserve(const v1::Reserve& reserve);
  void OnStart(const v1::Start& start);
  void OnStop(const v1::Stop& stop);
  void OnEventAck(const v1::EventAck& ack);
  void OnMessage(const v1::CoordinatorMessage& message, base::Time now);
  void OnAdopted(const Adopted& adopted);
  void OnRankEnded(const RankEnded& ended);
  void OnEventsRead(const EventsRead& read);
  void OnTick(base::Time now);

  Attempt* Find(const AttemptKey& key);
  void Add(const v1::Reserve& reserve);
  void RequestStop(Attempt& attempt, const StopRequest& stop);
  void StopAll(const StopRequest& stop);
  void Report(Attempt& attempt);
  void SendHeartbeat(base::Time now);
  // Of all ranks alike, as far as the window is open: what waits on the coordinator's side is bounded.
  void ReadMore();
  // Moves every attempt as far as what is known allows.
  void Settle();
  void SettleStarting(const AttemptKey& key, Attempt& attempt);
  void SettleRunning(Attempt& attempt);
  void End(Attempt& attempt, RankEnd end);
  void Refuse(const AttemptKey& key, RankEnd end);
  void Show(bool visible);
  // The attempt that still holds a slot which this one needs; empty: none.
  std::string HolderOfSlots(const AttemptKey& key, const Attempt& attempt) const;

  Options options_;
  std::map<AttemptKey, Attempt> attempts_;
  bool connected_ = false;
  bool welcomed_ = false;
  bool draining_ = false;
  bool metrics_visible_ = true;
  base::Time answered_;  // send time of the last message that the coordinator answered
  base::Time hello_sent_;
  base::Time ticked_;             // when a tick came last
  base::Time stood_still_until_;  // no tick came before it, for half a lease or longer
  base::Duration heartbeat_interval_ = base::Seconds(2);
  base::Duration lease_ = base::Seconds(8);
  uint64_t heartbeat_sequence_ = 0;
  base::Time next_heartbeat_;
  std::deque<std::pair<uint64_t, base::Time>> unanswered_;  // heartbeats: sequence and send time
  std::set<AttemptKey>
      refused_;  // answered since the last heartbeat; a second Stop is not, or two sides could answer forever
  Output out_;   // of the step at work
};

}  // namespace mixln::worker::session
