#include "coordinator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/state/trials.h"

namespace mixln::simulation {

namespace control = coordinator::control;
using services::coordinatord::EventIntake;
using services::coordinatord::Loop;
using services::coordinatord::Published;

namespace {

// Thrown through the loop where it dies.
struct Died {};

}  // namespace

absl::Status Disk::Commit(const coordinator::state::State& state, const control::Changes& changes) {
  on_step();
  if (full) return absl::ResourceExhaustedError("the disk is full");
  if (fail > 0) {
    --fail;
    return absl::UnavailableError("the disk did not write");
  }
  if (commits_late_) {
    if (late_) (void)memory_.Commit(late_->state, late_->changes);
    late_ = std::make_unique<Late>(Late{state, changes});
  } else if (auto status = memory_.Commit(state, changes); !status.ok()) {
    return status;
  }
  on_step();
  return absl::OkStatus();
}

absl::Status Disk::CheckRoom() const {
  return full ? absl::ResourceExhaustedError("the disk is full") : absl::OkStatus();
}

Coordinator::Coordinator(Scheduler& scheduler, Ledger& ledger, Mutation mutation)
    : scheduler_(scheduler),
      ledger_(ledger),
      mutation_(mutation),
      disk_(mutation == Mutation::kSendBeforeCommit),
      still_(scheduler),
      curves_(scheduler, ledger, still_, mutation == Mutation::kEarlyAcks) {
  disk_.on_step = [this] { Step(); };
}

void Coordinator::Step() {
  if (crash_after_ > 0 && --crash_after_ == 0) throw Died{};
}

void Coordinator::Start() {
  published_ = std::make_unique<Published>(Published::Observer{});
  Loop::Effects effects;
  effects.send = [this](const control::Command& command) {
    Step();
    if (command.message.has_reserve()) ledger_.Reserved(command.message.reserve());
    Send(command.session, command.message);
  };
  effects.close_session = [this](uint64_t session, const absl::Status&) { Close(session); };
  effects.close_all_sessions = [this](const absl::Status&) {
    std::vector<uint64_t> numbers;
    for (const auto& [number, session] : sessions_) numbers.push_back(number);
    for (const uint64_t number : numbers) Close(number);
  };
  effects.trials_deleted = [](const std::vector<std::string>&) {};
  effects.fatal = [](const absl::Status&) { throw Died{}; };
  Loop::Options options{.clock = [this] { return scheduler_.now(); }};
  options.control.checkpoint_wait = base::Seconds(20);  // short, so that it ends at times
  loop_ = std::make_unique<Loop>(disk_, *published_, metrics_, std::move(effects), std::move(options));
  if (!loop_->Load().ok()) throw Violation("the store does not load");
  ledger_.Check(*published_);
  awake_ = false;
  Tick(++life_);
}

void Coordinator::Crash() {
  if (!up()) return;
  if (scheduler_.traces) scheduler_.Trace("the coordinator dies");
  ++life_;
  crash_after_ = 0;
  loop_.reset();
  still_.Die();
  disk_.LoseCache();
  curves_.LoseQueue();
  const bool silently = scheduler_.Chance(0.3);  // its host died, too
  for (auto& [number, session] : std::exchange(sessions_, {})) {
    session.intake->Stop();
    session.stream->Close(kCoordinator, silently);
  }
}

void Coordinator::StandStill(double seconds) {
  if (!up()) return;
  if (scheduler_.traces) scheduler_.Trace(absl::StrCat("the coordinator stands still for ", seconds, " s"));
  still_.Begin(seconds);
}

void Coordinator::Restart() {
  if (up()) return;
  if (scheduler_.traces) scheduler_.Trace("the coordinator comes back");
  disk_.Restart();
  Start();
}

void Coordinator::Tick(uint64_t life) {
  if (life != life_) return;
  const bool stands_still = still_.rest() > 0;
  if (!stands_still) Pump(true);
  if (life != life_) return;
  scheduler_.After(stands_still ? still_.TimerDelay() : 0.5, [this, life] { Tick(life); });
}

void Coordinator::WakeUp() {
  if (std::exchange(awake_, true)) return;
  scheduler_.After(scheduler_.Between(0, 0.005), [this, life = life_] {
    if (life == life_) Pump(false);
  });
}

void Coordinator::Pump(bool tick) {
  const double wait = std::max(busy_until_ - scheduler_.seconds(), still_.rest());
  if (wait > 0 && !tick) {
    scheduler_.After(wait + 0.001, [this, life = life_] {
      if (life == life_) Pump(false);
    });
    return;
  }
  if (wait > 0) return;
  awake_ = false;
  try {
    loop_->Pump(tick);
  } catch (const Died&) {
    Crash();
    return;
  }
  ledger_.Check(*published_);
}

void Coordinator::Accept(const std::shared_ptr<Stream>& stream, Receiver receiver) {
  if (!up()) {
    stream->Close(kCoordinator, false);
    return;
  }
  const uint64_t number = ++numbers_;
  stream->on_closed[kCoordinator] = [this, number] { still_.Do([this, number] { Gone(number); }); };
  still_.Do([this, number, stream, receiver = std::move(receiver)] {
    sessions_[number] = {
        .stream = stream, .receiver = receiver, .worker_id = {}, .intake = MakeIntake(number), .inbox = {}};
  });
}

void Coordinator::Receive(const std::shared_ptr<Stream>& stream, v1::WorkerMessage message) {
  still_.Do([this, stream, message = std::move(message)] {
    for (auto& [number, session] : sessions_) {
      if (session.stream != stream) continue;
      session.inbox.push_back(message);
      Next(number);
      return;
    }
  });
}

void Coordinator::Next(uint64_t number) {
  const auto found = sessions_.find(number);
  if (found == sessions_.end() || found->second.busy || found->second.inbox.empty()) return;
  Session& session = found->second;
  session.busy = true;
  const v1::WorkerMessage message = std::move(session.inbox.front());
  session.inbox.pop_front();
  Handle(number, message);
}

void Coordinator::Handle(uint64_t number, const v1::WorkerMessage& message) {
  Session& session = sessions_.at(number);
  if (session.worker_id.empty() != message.has_hello()) {
    Close(number);
    return;
  }
  const auto done = [this, number](bool) { Handled(number); };
  switch (message.message_case()) {
    case v1::WorkerMessage::kHello:
      session.worker_id = message.hello().worker_id();
      Submit(number, control::WorkerConnected{number, message.hello(), ReadCursors(message.hello())}, done);
      break;
    case v1::WorkerMessage::kHeartbeat:
      Submit(number, control::HeartbeatReceived{number, session.worker_id, message.heartbeat()}, done);
      break;
    case v1::WorkerMessage::kReport:
      Submit(number, control::AttemptReported{number, session.worker_id, message.report()}, done);
      break;
    case v1::WorkerMessage::kEvents:
      // Of its own: what follows may end the session.
      std::shared_ptr(session.intake)->Add(message.events(), [done] { done(true); });
      break;
    default: break;
  }
}

std::vector<v1::EventAck> Coordinator::ReadCursors(const v1::Hello& hello) const {
  std::vector<v1::EventAck> cursors;
  for (const v1::AttemptStatus& attempt : hello.attempts()) {
    for (const int32_t rank : attempt.ranks()) {
      cursors.push_back(curves_.Cursor(attempt.trial_id(), attempt.fence(), rank));
      ledger_.CursorSent(cursors.back());
    }
  }
  return cursors;
}

void Coordinator::Unfence(control::Event& event) const {
  const auto live = [&](const std::string& trial_id, v1::Fence& fence) {
    const auto trial = published_->Trial(trial_id);
    if (!trial || trial->attempts().empty()) return;
    fence = trial->attempts().rbegin()->fence();
  };
  if (auto* report = std::get_if<control::AttemptReported>(&event))
    live(report->report.trial_id(), *report->report.mutable_fence());
  if (auto* events = std::get_if<control::RankEventsReceived>(&event))
    live(events->batch.trial_id(), *events->batch.mutable_fence());
}

void Coordinator::Handled(uint64_t number) {
  const auto session = sessions_.find(number);
  if (session == sessions_.end()) return;
  session->second.busy = false;
  Next(number);
}

void Coordinator::Submit(uint64_t number, control::Event event, std::function<void(bool)> answered) {
  if (!up()) return;
  if (mutation_ == Mutation::kNoFence) Unfence(event);
  loop_->Submit(std::move(event), [this, number, answered = std::move(answered)](const Loop::Answer& answer) {
    Step();
    if (answer.close_session) Close(number);
    answered(answer.outcome.ok());
  });
  WakeUp();
}

std::shared_ptr<EventIntake> Coordinator::MakeIntake(uint64_t number) {
  EventIntake::Effects effects;
  effects.take = [this, number](const v1::EventBatch& batch, std::function<void(bool)> answered) {
    const auto session = sessions_.find(number);
    if (session == sessions_.end()) return;
    Submit(number, control::RankEventsReceived{number, session->second.worker_id, batch},
           std::move(answered));
  };
  effects.store = [this, number](const v1::EventBatch& batch, std::function<void()> stored) {
    ledger_.EventsAccepted(batch);
    const bool blindly = mutation_ == Mutation::kCheckpointBeforeCurve;
    if (blindly) stored();
    curves_.Append(batch, [this, number, blindly, stored = std::move(stored)](const v1::EventAck& there) {
      ledger_.EventsAcknowledged(there);
      v1::CoordinatorMessage message;
      *message.mutable_event_ack() = there;
      Send(number, std::move(message));
      if (!blindly) stored();
    });
  };
  effects.hurry = [this] { curves_.Hurry(); };
  return std::make_shared<EventIntake>(std::move(effects));
}

void Coordinator::Send(uint64_t number, v1::CoordinatorMessage message) {
  const auto found = sessions_.find(number);
  if (found == sessions_.end()) return;
  if (scheduler_.traces)
    scheduler_.Trace(absl::StrCat("to ", found->second.worker_id, ": ", message.ShortDebugString()));
  // Whatever a worker is told twice, it does once.
  const int times = !message.has_welcome() && scheduler_.Chance(0.05) ? 2 : 1;
  for (int i = 0; i < times; ++i)
    found->second.stream->Send(kCoordinator,
                               [receiver = found->second.receiver, message] { receiver(message); });
}

void Coordinator::Close(uint64_t number) {
  const auto found = sessions_.find(number);
  if (found == sessions_.end()) return;
  found->second.stream->Close(kCoordinator, false);
  Gone(number);
}

void Coordinator::Gone(uint64_t number) {
  const auto found = sessions_.find(number);
  if (found == sessions_.end()) return;
  const std::string worker = found->second.worker_id;
  found->second.intake->Stop();
  sessions_.erase(found);
  if (worker.empty() || !up()) return;
  loop_->Submit(control::WorkerDisconnected{number, worker}, [](const Loop::Answer&) {});
  WakeUp();
}

void Coordinator::Call(control::Event event, std::function<void(const absl::Status&)> done) {
  if (!up()) {
    done(absl::UnavailableError("the coordinator is down"));
    return;
  }
  still_.Do([this, event = std::move(event), done = std::move(done)] {
    loop_->Submit(event, [this, done](const Loop::Answer& answer) {
      Step();
      done(answer.outcome);
    });
    WakeUp();
  });
}

}  // namespace mixln::simulation
