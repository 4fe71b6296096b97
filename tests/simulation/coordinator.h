// The coordinator of a simulation: the daemon's own loop and core on a store in memory, with the shell around
// them that the daemon has (services/coordinatord/worker_stream), on virtual time.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/store/memory_store.h"
#include "curves.h"
#include "ledger.h"
#include "network.h"
#include "services/coordinatord/event_intake.h"
#include "services/coordinatord/loop.h"
#include "standstill.h"

namespace mixln::simulation {

// A rule that is left out on purpose, to show that the invariants notice.
enum class Mutation {
  kNone,
  kSendBeforeCommit,       // what was decided is said before it is on disk
  kNoFence,                // a report of any fence counts as one of the live attempt
  kEarlyAcks,              // events are acknowledged before they are on disk
  kCheckpointBeforeCurve,  // a checkpoint counts before the curve up to it is on disk
  kNoKeep,                 // slots are not kept for the head of the queue (Crowd)
};

// The store, whose disk is slow, full or broken when the simulation says so, and in which the coordinator may
// die before a commit and after it.
class Disk : public coordinator::store::Store {
 public:
  explicit Disk(bool commits_late) : commits_late_(commits_late) {}
  absl::StatusOr<coordinator::state::State> Load() override { return memory_.Load(); }
  absl::Status Commit(const coordinator::state::State& state,
                      const coordinator::control::Changes& changes) override;
  absl::Status CheckRoom() const override;
  void Restart() { memory_.Restart(); }
  // What a crash takes with it.
  void LoseCache() { late_.reset(); }

  bool full = false;
  int fail = 0;                   // so many commits fail
  std::function<void()> on_step;  // before and after each commit

 private:
  struct Late {
    coordinator::state::State state;
    coordinator::control::Changes changes;
  };
  const bool commits_late_;
  std::unique_ptr<Late> late_;
  coordinator::store::MemoryStore memory_{"cluster"};
};

class Coordinator {
 public:
  // What a worker does with a message.
  using Receiver = std::function<void(const v1::CoordinatorMessage&)>;

  Coordinator(Scheduler& scheduler, Ledger& ledger, Mutation mutation);

  void Start();
  // Dies at once; its streams end.
  void Crash();
  // Dies after so many more steps: a commit begun or done, a message sent, an answer given.
  void CrashAfter(int steps) { crash_after_ = steps; }
  void Restart();
  bool up() const { return loop_ != nullptr; }
  // Its loop does nothing for so long: a slow disk.
  void Stall(double seconds) { busy_until_ = scheduler_.seconds() + seconds; }
  // Its process does.
  void StandStill(double seconds);
  Disk& disk() { return disk_; }
  Curves& curves() { return curves_; }

  // A worker's new stream.
  void Accept(const std::shared_ptr<Stream>& stream, Receiver receiver);
  // A message arrives on it.
  void Receive(const std::shared_ptr<Stream>& stream, v1::WorkerMessage message);
  // A call of a user; `done` is not called when the coordinator dies first.
  void Call(coordinator::control::Event event, std::function<void(const absl::Status&)> done);

  const services::coordinatord::Published& published() const { return *published_; }

 private:
  struct Session {
    std::shared_ptr<Stream> stream;
    Receiver receiver;
    std::string worker_id;
    std::shared_ptr<services::coordinatord::EventIntake> intake;
    std::deque<v1::WorkerMessage> inbox;
    bool busy = false;  // one message is being worked on
  };

  void Tick(uint64_t life);
  void WakeUp();
  void Pump(bool tick);
  void Step();
  void Next(uint64_t number);
  void Handle(uint64_t number, const v1::WorkerMessage& message);
  // The session's message was worked on.
  void Handled(uint64_t number);
  void Submit(uint64_t number, coordinator::control::Event event, std::function<void(bool)> answered);
  std::shared_ptr<services::coordinatord::EventIntake> MakeIntake(uint64_t number);
  std::vector<v1::EventAck> ReadCursors(const v1::Hello& hello) const;
  void Send(uint64_t number, v1::CoordinatorMessage message);
  void Close(uint64_t number);
  void Gone(uint64_t number);
  void Unfence(coordinator::control::Event& event) const;

  Scheduler& scheduler_;
  Ledger& ledger_;
  const Mutation mutation_;
  Disk disk_;
  Standstill still_;
  Curves curves_;
  services::coordinatord::Metrics metrics_;
  std::unique_ptr<services::coordinatord::Published> published_;
  std::unique_ptr<services::coordinatord::Loop> loop_;
  std::map<uint64_t, Session> sessions_;
  uint64_t numbers_ = 0;
  uint64_t life_ = 0;  // counts starts
  int crash_after_ = 0;
  double busy_until_ = 0;
  bool awake_ = false;  // a pump is due
};

}  // namespace mixln::simulation
