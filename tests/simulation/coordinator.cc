#include "coordinator.h"

#include <utility>

#include "coordinator/state/trials.h"

namespace mixln::simulation {

namespace control = coordinator::control;
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
      disk_(mutation == Mutation::kSendBeforeCommit) {
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
  ledger_.BeginRound();
  ledger_.Check(*published_);
  awake_ = false;
  Tick(++life_);
}

void Coordinator::Crash() {
  if (!up()) return;
  ++life_;
  crash_after_ = 0;
  loop_.reset();
  disk_.LoseCache();
  const bool silently = scheduler_.Chance(0.3);  // its host died, too
  for (auto& [number, session] : std::exchange(sessions_, {})) session.stream->Close(kCoordinator, silently);
}

void Coordinator::Restart() {
  if (up()) return;
  disk_.Restart();
  Start();
}

void Coordinator::Tick(uint64_t life) {
  if (life != life_) return;
  Pump(true);
  if (life == life_) scheduler_.After(0.5, [this, life] { Tick(life); });
}

void Coordinator::WakeUp() {
  if (std::exchange(awake_, true)) return;
  scheduler_.After(scheduler_.Between(0, 0.005), [this, life = life_] {
    if (life == life_) Pump(false);
  });
}

void Coordinator::Pump(bool tick) {
  const double wait = busy_until_ - scheduler_.seconds();
  if (wait > 0 && !tick) {
    scheduler_.After(wait + 0.001, [this, life = life_] {
      if (life == life_) Pump(false);
    });
    return;
  }
  if (wait > 0) return;
  awake_ = false;
  ledger_.BeginRound();
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
  sessions_[number] = {.stream = stream, .receiver = std::move(receiver), .worker_id = {}, .inbox = {}};
  stream->on_closed[kCoordinator] = [this, number] { Gone(number); };
}

void Coordinator::Receive(const std::shared_ptr<Stream>& stream, v1::WorkerMessage message) {
  for (auto& [number, session] : sessions_) {
    if (session.stream != stream) continue;
    session.inbox.push_back(std::move(message));
    Next(number);
    return;
  }
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
  switch (message.message_case()) {
    case v1::WorkerMessage::kHello:
      session.worker_id = message.hello().worker_id();
      Submit(number, control::WorkerConnected{number, message.hello(), ReadCursors(message.hello())}, [] {});
      break;
    case v1::WorkerMessage::kHeartbeat:
      Submit(number, control::HeartbeatReceived{number, session.worker_id, message.heartbeat()}, [] {});
      break;
    case v1::WorkerMessage::kReport:
      Submit(number, control::AttemptReported{number, session.worker_id, message.report()}, [] {});
      break;
    case v1::WorkerMessage::kEvents:
      Submit(number, control::RankEventsReceived{number, session.worker_id, message.events()},
             [this, number, batch = message.events()] { Record(number, batch); });
      break;
    default: break;
  }
}

std::vector<v1::EventAck> Coordinator::ReadCursors(const v1::Hello& hello) {
  std::vector<v1::EventAck> cursors;
  for (const v1::AttemptStatus& attempt : hello.attempts()) {
    for (const int32_t rank : attempt.ranks()) {
      v1::EventAck& cursor = cursors.emplace_back();
      cursor.set_trial_id(attempt.trial_id());
      *cursor.mutable_fence() = attempt.fence();
      cursor.set_rank(rank);
      cursor.set_sequence(cursors_[{attempt.trial_id(), attempt.fence().epoch(), rank}]);
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

void Coordinator::Submit(uint64_t number, control::Event event, std::function<void()> accepted) {
  if (mutation_ == Mutation::kNoFence) Unfence(event);
  loop_->Submit(std::move(event), [this, number, accepted = std::move(accepted)](const Loop::Answer& answer) {
    Step();
    if (answer.close_session) Close(number);
    if (answer.outcome.ok()) accepted();
    const auto session = sessions_.find(number);
    if (session == sessions_.end()) return;
    session->second.busy = false;
    Next(number);
  });
  WakeUp();
}

void Coordinator::Record(uint64_t number, const v1::EventBatch& batch) {
  ledger_.EventsAccepted(batch);
  uint64_t& cursor = cursors_[{batch.trial_id(), batch.fence().epoch(), batch.rank()}];
  for (const v1::RankEvent& event : batch.events()) {
    if (event.sequence() == cursor + 1) cursor = event.sequence();
  }
  v1::CoordinatorMessage message;
  v1::EventAck& ack = *message.mutable_event_ack();
  ack.set_trial_id(batch.trial_id());
  *ack.mutable_fence() = batch.fence();
  ack.set_rank(batch.rank());
  ack.set_sequence(cursor);
  Send(number, std::move(message));
}

void Coordinator::Send(uint64_t number, v1::CoordinatorMessage message) {
  const auto found = sessions_.find(number);
  if (found == sessions_.end()) return;
  const Receiver receiver = found->second.receiver;
  found->second.stream->Send(kCoordinator, [receiver, message = std::move(message)] { receiver(message); });
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
  loop_->Submit(std::move(event), [this, done = std::move(done)](const Loop::Answer& answer) {
    Step();
    done(answer.outcome);
  });
  WakeUp();
}

}  // namespace mixln::simulation
