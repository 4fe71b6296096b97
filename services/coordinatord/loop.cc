#include "services/coordinatord/loop.h"

#include <spdlog/spdlog.h>

#include <future>
#include <iterator>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/failpoint/failpoint.h"
#include "services/coordinatord/rollback.h"
#include "services/rpc/kind.h"

namespace mixln::services::coordinatord {

namespace control = coordinator::control;

namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void Merge(const control::Changes& from, control::Changes& into) {
  into.sweeps.insert(from.sweeps.begin(), from.sweeps.end());
  into.trials.insert(from.trials.begin(), from.trials.end());
  into.workers.insert(from.workers.begin(), from.workers.end());
  into.epoch |= from.epoch;
}

// Progress reaches readers at once, though its row is written less often.
void AddTrialOf(const control::Event& event, std::set<std::string>& trials) {
  if (const auto* events = std::get_if<control::RankEventsReceived>(&event))
    trials.insert(events->batch.trial_id());
}

// The stream on which a worker said this, if it can say it again on the next one; else 0.
uint64_t SessionOf(const control::Event& event) {
  if (const auto* heartbeat = std::get_if<control::HeartbeatReceived>(&event)) return heartbeat->session;
  if (const auto* report = std::get_if<control::AttemptReported>(&event)) return report->session;
  if (const auto* events = std::get_if<control::RankEventsReceived>(&event)) return events->session;
  return 0;
}

control::Decision Refusal(absl::Status why) {
  control::Decision decision;
  decision.outcome = std::move(why);
  return decision;
}

}  // namespace

Loop::Loop(coordinator::store::Store& store, Published& published, Metrics& metrics, Effects effects,
           Options options)
    : store_(store),
      published_(published),
      metrics_(metrics),
      effects_(std::move(effects)),
      options_(std::move(options)) {}

Loop::~Loop() {
  Stop();
}

absl::Status Loop::Start() {
  if (auto status = Load(); !status.ok()) return status;
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void Loop::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Loop::Submit(control::Event event, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      queue_.push_back({std::move(event), std::move(done), Clock::now()});
      wake_.notify_all();
      return;
    }
  }
  done({.outcome = absl::UnavailableError("the coordinator is shutting down: try again soon")});
}

absl::Status Loop::Call(control::Event event) {
  std::promise<absl::Status> answer;
  Submit(std::move(event), [&](const Answer& a) { answer.set_value(a.outcome); });
  return answer.get_future().get();
}

void Loop::Run() {
  const auto period =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.tick_seconds));
  auto next_tick = Clock::now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_until(lock, next_tick, [this] { return stopping_ || !queue_.empty(); });
    lock.unlock();
    const bool tick = Clock::now() >= next_tick;
    Pump(tick);
    if (tick) next_tick = Clock::now() + period;
    lock.lock();
  }
  const std::deque<Pending> rest = std::exchange(queue_, {});
  lock.unlock();
  Fail(rest, absl::UnavailableError("the coordinator is shutting down: try again soon"));
}

std::deque<Loop::Pending> Loop::TakeBatch() {
  const std::lock_guard lock(mutex_);
  std::deque<Pending> batch;
  if (queue_.size() <= options_.batch_events) {
    batch.swap(queue_);
  } else {
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(options_.batch_events);
    batch.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
    queue_.erase(queue_.begin(), end);
  }
  return batch;
}

void Loop::Pump(bool tick) {
  Process(TakeBatch(), tick);
}

absl::Status Loop::Load() {
  auto loaded = store_.Load();
  if (!loaded.ok()) return loaded.status();
  state_ = std::move(*loaded);
  const base::Now now = options_.clock();
  round_begin_ = now.steady;
  control::Recover(state_, now, options_.control);
  published_.Reset(state_);
  return absl::OkStatus();
}

void Loop::Fail(const std::deque<Pending>& batch, const absl::Status& status) {
  for (const auto& pending : batch) pending.done({.outcome = status, .close_session = true});
}

control::Decision Loop::Decide(control::Event& event, base::Now now) {
  if (refused_.contains(SessionOf(event))) {
    if (auto* heartbeat = std::get_if<control::HeartbeatReceived>(&event)) {
      heartbeat->lease_only = true;
    } else {
      return Refusal(
          absl::UnavailableError("something before it was refused: say it again on the next stream"));
    }
  }
  if (const auto* gone = std::get_if<control::WorkerDisconnected>(&event)) refused_.erase(gone->session);
  if (std::holds_alternative<control::SweepSubmitted>(event)) {
    if (auto room = store_.CheckRoom(); !room.ok()) return Refusal(std::move(room));
  }
  return control::Step(state_, event, now, options_.control);
}

void Loop::DecideWithoutStoring(Round& round, base::Now now) {
  for (size_t i = 0; i < round.events.size(); ++i) {
    const Rollback before(state_);
    control::Event& event = round.events[i];
    control::Decision& decision = round.decisions[i];
    decision = Decide(event, now);
    if (decision.changes.empty()) continue;
    before.Undo(decision.changes, published_, state_);
    decision = Refusal(full_);
    const uint64_t session = SessionOf(event);
    if (session == 0) continue;
    refused_.insert(session);
    decision = Decide(event, now);
  }
  round.changes = {};
}

void Loop::DiskIsFull(const absl::Status& why) {
  if (full_.ok())
    spdlog::error("{}; until then sweeps and changes are refused, training goes on",
                  std::string(why.message()));
  full_ = why;
}

void Loop::DiskHasRoom() {
  spdlog::info("the disk has room again: all is recorded as before");
  full_ = absl::OkStatus();
  for (const uint64_t session : refused_)
    effects_.close_session(
        session,
        absl::UnavailableError("the coordinator's disk was full and has room again: say what you have"));
}

absl::Status Loop::Commit(Round& round) {
  // Whether a full disk has room again is found out by writing a row that may always be written.
  const bool recovering = !full_.ok() && store_.CheckRoom().ok();
  round.changes.epoch |= recovering;
  if (round.changes.empty()) return absl::OkStatus();
  const auto begin = Clock::now();
  if (auto status = store_.Commit(state_, round.changes); !status.ok()) return status;
  metrics_.ObserveCommit("state", SecondsSince(begin));
  if (recovering) DiskHasRoom();
  return absl::OkStatus();
}

void Loop::NoticeStandstill(Round& round, base::Time steady) {
  const base::Duration gap = steady - std::exchange(round_begin_, steady);
  const bool stood_still = gap >= options_.control.lease / 2;
  if (stood_still)
    spdlog::warn(
        "stood still for {:.0f} s (its machine, or its disk): workers have {:.0f} s to be heard again",
        base::ToSeconds(gap), base::ToSeconds(options_.control.reconnect_grace));
  // While its disk is full no worker can connect.
  if (!stood_still && full_.ok()) return;
  round.events.emplace_back(control::StoodStill{gap});
}

void Loop::Process(std::deque<Pending> batch, bool tick) {
  if (!batch.empty()) base::failpoint::Hit("coordinator.events");
  const base::Now now = options_.clock();
  const Rollback before(state_);
  Round round;
  for (auto& pending : batch) round.events.push_back(std::move(pending.event));
  NoticeStandstill(round, now.steady);
  if (tick) round.events.emplace_back(control::Tick{});
  for (auto& event : round.events) {
    round.decisions.push_back(Decide(event, now));
    Merge(round.decisions.back().changes, round.changes);
  }
  if (const auto committed = Commit(round); absl::IsResourceExhausted(committed)) {
    before.Undo(round.changes, published_, state_);
    DiskIsFull(committed);
    DecideWithoutStoring(round, now);
  } else if (!committed.ok()) {
    spdlog::error("a commit failed, the state is loaded again: {}", std::string(committed.message()));
    if (absl::IsDataLoss(committed)) effects_.fatal(committed);
    if (const auto status = Load(); !status.ok()) effects_.fatal(status);
    const auto answer = absl::UnavailableError(absl::StrCat(
        "the coordinator could not record this: ", std::string(committed.message()), "; try again"));
    effects_.close_all_sessions(answer);
    Fail(batch, answer);
    return;
  }

  const control::Changes& changes = round.changes;
  const std::vector<control::Decision>& decisions = round.decisions;
  std::set<std::string> trials;
  for (size_t i = 0; i < decisions.size(); ++i) {
    if (decisions[i].outcome.ok()) AddTrialOf(round.events[i], trials);
  }
  published_.Publish(state_, changes, trials);
  if (tick) published_.Refresh(state_);
  std::vector<std::string> deleted;
  for (const auto& id : changes.trials) {
    if (!state_.trials.contains(id)) deleted.push_back(id);
  }
  if (!deleted.empty()) effects_.trials_deleted(deleted);
  for (const auto& decision : decisions) {
    if (!decision.refused.empty()) metrics_.CountRefused(decision.refused);
    if (decision.replaced_session != 0)
      effects_.close_session(decision.replaced_session,
                             absl::AbortedError("a newer stream of this worker has taken its place"));
    for (const auto& command : decision.commands) {
      base::failpoint::Hit("coordinator.send", [&] { return rpc::Kind(command.message); });
      effects_.send(command);
    }
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i].done({.outcome = decisions[i].outcome, .close_session = decisions[i].close_session});
    metrics_.ObserveDecision(SecondsSince(batch[i].arrival));
  }
}

}  // namespace mixln::services::coordinatord
