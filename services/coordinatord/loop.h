// The one thread that changes the coordinator's state: it takes what has arrived, steps the pure core through
// it, commits all changes in one transaction, and only then publishes, sends commands and answers. So what
// anybody was told is on disk.
//
// When the disk is full, what needs a commit is refused with the reason (RESOURCE_EXHAUSTED), and all else
// goes on: readers are answered, leases are renewed. A worker whose words were refused keeps its stream, is
// told nothing but that, and is heard no more; once there is room again its stream is ended, and on the next
// one it says what it has.
//
// When a commit fails for another reason, the state in memory is thrown away and loaded again, all workers'
// streams are ended, and the callers of that batch are told (UNAVAILABLE). When the disk itself fails,
// `fatal` is called, which does not return in the program.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/time/time.h"
#include "coordinator/control/step.h"
#include "coordinator/store/store.h"
#include "services/coordinatord/metrics.h"
#include "services/coordinatord/published.h"

namespace mixln::services::coordinatord {

class Loop {
 public:
  struct Options {
    coordinator::control::Options control = {};
    // Time between ticks.
    double tick_seconds = 0.5;
    // Events in one transaction at most.
    size_t batch_events = 1000;
    // Both clocks.
    std::function<base::Now()> clock = {};
  };

  // What the loop does to the world; all are called on its thread, after the commit.
  struct Effects {
    std::function<void(const coordinator::control::Command&)> send;
    std::function<void(uint64_t session, const absl::Status& why)> close_session;
    std::function<void(const absl::Status& why)> close_all_sessions;
    std::function<void(const std::vector<std::string>& ids)> trials_deleted;
    std::function<void(const absl::Status& why)> fatal;
  };

  // The core's answer to one event.
  struct Answer {
    absl::Status outcome;
    bool close_session = false;
  };
  using Done = std::function<void(const Answer&)>;

  Loop(coordinator::store::Store& store, Published& published, Metrics& metrics, Effects effects,
       Options options);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Loads the state and starts the thread.
  absl::Status Start();
  // The two halves of what the thread does, for a caller that keeps the time itself (the simulator): Load
  // once, then Pump for what was queued since, with a tick at its end or without.
  absl::Status Load();
  void Pump(bool tick);
  // Ends the thread after the batch in progress; what still waits is answered UNAVAILABLE.
  void Stop();

  // Queues an event; `done` is called on the loop's thread once its changes are on disk, or have failed to
  // get there.
  void Submit(coordinator::control::Event event, Done done);
  // As Submit, and waits for the answer.
  absl::Status Call(coordinator::control::Event event);

 private:
  struct Pending {
    coordinator::control::Event event;
    Done done;
    std::chrono::steady_clock::time_point arrival;
  };

  // One batch, the loop's own events at its end included, and what the core decided about each of them.
  struct Round {
    std::vector<coordinator::control::Event> events;
    std::vector<coordinator::control::Decision> decisions;
    coordinator::control::Changes changes;  // of all
  };

  void Run();
  std::deque<Pending> TakeBatch();
  void Process(std::deque<Pending> batch, bool tick);
  // Adds StoodStill if the last round began longer ago than any round should take, or the disk is full.
  void NoticeStandstill(Round& round, base::Time steady);
  // Steps the core through the event, or refuses it.
  coordinator::control::Decision Decide(coordinator::control::Event& event, base::Now now);
  // After the batch was taken back: decides each event anew, and refuses what would change a row.
  void DecideWithoutStoring(Round& round, base::Now now);
  absl::Status Commit(Round& round);
  void DiskIsFull(const absl::Status& why);
  void DiskHasRoom();
  void Fail(const std::deque<Pending>& batch, const absl::Status& status);

  coordinator::store::Store& store_;
  Published& published_;
  Metrics& metrics_;
  const Effects effects_;
  const Options options_;
  // The thread's.
  coordinator::state::State state_;
  base::Time round_begin_;      // steady clock: of the last round
  absl::Status full_;           // OK, or why commits fail at present
  std::set<uint64_t> refused_;  // sessions whose words were refused, until they have ended

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Pending> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace mixln::services::coordinatord
