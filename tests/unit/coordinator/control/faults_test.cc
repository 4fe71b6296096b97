// Drives the core with a small model of workers under faults drawn from a seed: streams break, messages are
// lost, daemons and the coordinator restart, leases run out, ranks fail. What the coordinator knows after a
// restart is exactly what its decisions said was to be stored. After each step the invariants hold; once the
// faults end, every trial ends.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "cluster.h"
#include "coordinator/state/slots.h"

namespace mixln::coordinator::control {
namespace {

// One attempt's ranks as a worker has them.
struct Part {
  v1::AttemptStatus status;
  v1::AttemptReport report;  // as last sent
  std::set<int> slots;
  bool rank_zero = false;
  bool stopping = false;  // told to stop; its ranks take a while to end
  int world_size = 1;
  int64_t step = 0;
  int64_t saved = 0;
  uint64_t events = 0;  // said
};

struct ModelWorker {
  std::string id;
  int slots = 0;
  uint64_t instance = 1;
  uint64_t session = 0;  // 0: not connected
  uint64_t beats = 0;
  std::map<state::FenceKey, Part> parts;
  std::deque<v1::CoordinatorMessage> inbox;
};

class FaultModel {
 public:
  explicit FaultModel(uint64_t seed) : random_(seed) {
    stored_.cluster_id = "c";
    stored_.term = 1;
    state_ = stored_;
    for (const auto& [id, slots] : {std::pair("a", 2), std::pair("b", 2), std::pair("c", 1)}) {
      ModelWorker& worker = workers_.emplace_back();
      worker.id = id;
      worker.slots = slots;
    }
  }

  void RunAll() {
    SweepSubmitted small = Cluster::Sweep("small", 4);
    SweepSubmitted gangs = Cluster::Sweep("gangs", 2, 3);
    for (SweepSubmitted* sweep : {&small, &gangs}) {
      for (v1::Cell& cell : sweep->cells) cell.mutable_spec()->mutable_retry()->set_max_retries(1000);
      Happen(*sweep);
    }
    for (int i = 0; i < 400 && !::testing::Test::HasFatalFailure(); ++i) Round(true);
    // At 1 s a round: a lease, a back-off of at most 300 s, a start and a stop of each trial, and the
    // training.
    for (int i = 0; i < 3000 && !AllEnded() && !::testing::Test::HasFatalFailure(); ++i) {
      for (const ModelWorker& worker : workers_) {  // an operator looks after them
        if (state_.workers.at(worker.id).worker.quarantined()) Happen(WorkerDrained{worker.id, true, ""});
      }
      Round(false);
    }
    for (const auto& [id, trial] : state_.trials) {
      EXPECT_TRUE(state::IsTerminal(trial.state()))
          << id << " is " << state::StateName(trial.state()) << ": " << trial.reason();
    }
  }

 private:
  bool Chance(double p) { return std::uniform_real_distribution<>(0, 1)(random_) < p; }

  bool AllEnded() const {
    return std::all_of(state_.trials.begin(), state_.trials.end(),
                       [](const auto& entry) { return state::IsTerminal(entry.second.state()); });
  }

  void Happen(const Event& event) {
    const uint64_t epoch_before = state_.last_epoch;
    const Decision decision = Step(state_, event, now_, options_);
    if (faulty_ && Chance(0.01)) {  // the commit fails: nothing is stored, nothing is sent
      Load();
      return;
    }
    EXPECT_GE(state_.last_epoch, epoch_before);
    EXPECT_NE(decision.refused, "out_of_order") << decision.outcome;
    Store(decision.changes);
    const auto* events = std::get_if<RankEventsReceived>(&event);
    if (events != nullptr && decision.outcome.ok())
      curves_[state::KeyOf(events->batch.fence())] = events->batch.events().rbegin()->sequence();
    for (const Command& command : decision.commands) {
      for (ModelWorker& worker : workers_) {
        if (worker.id == command.worker_id && worker.session == command.session)
          worker.inbox.push_back(command.message);
      }
    }
    CheckInvariants();
  }

  void Store(const Changes& changes) {
    for (const std::string& id : changes.sweeps) stored_.sweeps[id] = state_.sweeps.at(id);
    for (const std::string& id : changes.trials) stored_.trials[id] = state_.trials.at(id);
    for (const std::string& id : changes.workers) stored_.workers[id].worker = state_.workers.at(id).worker;
    if (changes.epoch) stored_.last_epoch = state_.last_epoch;
  }

  void Load() {
    state_ = stored_;
    Recover(state_, now_, options_);
    for (ModelWorker& worker : workers_) Break(worker);
  }

  static void Break(ModelWorker& worker) {
    worker.session = 0;
    worker.inbox.clear();
  }

  void CheckInvariants() {
    std::set<std::pair<std::string, int>> taken;
    std::set<uint64_t> epochs;
    for (const auto& [id, trial] : state_.trials) {
      int live = 0;
      for (const v1::Attempt& attempt : trial.attempts()) {
        ASSERT_TRUE(epochs.insert(attempt.fence().epoch()).second) << "epoch twice, " << id;
        ASSERT_LE(attempt.fence().epoch(), state_.last_epoch);
        if (attempt.has_end_time()) continue;
        ++live;
        for (const v1::RankPlacement& rank : attempt.ranks()) {
          if (!state::RunsOn(attempt, rank.worker_id())) continue;
          ASSERT_TRUE(taken.emplace(rank.worker_id(), rank.slot()).second) << "slot twice, " << id;
        }
      }
      ASSERT_LE(live, 1) << id;
      ASSERT_EQ(live == 1, state_.live.contains(id)) << id;
      ASSERT_EQ(live == 1, !state::IsTerminal(trial.state()) && trial.state() != v1::TRIAL_STATE_PENDING)
          << id;
      const auto stored = stored_.trials.find(id);
      ASSERT_TRUE(stored != stored_.trials.end());
      ASSERT_EQ(stored->second.state(), trial.state()) << "an unstored state, " << id;
      ASSERT_EQ(stored->second.attempts_size(), trial.attempts_size()) << "an unstored attempt, " << id;
      ASSERT_EQ(stored->second.checkpoints_size(), trial.checkpoints_size())
          << "an unstored checkpoint, " << id;
      if (state::IsTerminal(trial.state())) {
        const auto [ended, first] = ended_.emplace(id, trial.state());
        ASSERT_EQ(ended->second, trial.state()) << "a terminal state changed, " << id;
      } else {
        ASSERT_FALSE(ended_.contains(id)) << "a terminal state was lost, " << id;
      }
    }
  }

  void Report(ModelWorker& worker, Part& part) {
    part.report.set_trial_id(part.status.trial_id());
    *part.report.mutable_fence() = part.status.fence();
    part.report.set_phase(part.status.phase());
    if (worker.session != 0) Happen(AttemptReported{worker.session, worker.id, part.report});
  }

  void EndPart(ModelWorker& worker, Part& part, v1::AttemptOutcome outcome, v1::FailureCause cause = {}) {
    if (part.status.phase() == v1::ATTEMPT_PHASE_ENDED) return;
    part.status.set_phase(v1::ATTEMPT_PHASE_ENDED);
    part.report.set_outcome(outcome);
    part.report.set_cause(cause);
    Report(worker, part);
  }

  void Obey(ModelWorker& worker, const v1::CoordinatorMessage& message) {
    if (message.has_welcome()) {
      std::set<state::FenceKey> keep;
      for (const v1::AttemptStatus& status : message.welcome().keep())
        keep.insert(state::KeyOf(status.fence()));
      for (const v1::EventAck& cursor : message.welcome().cursors()) {
        const auto part = worker.parts.find(state::KeyOf(cursor.fence()));
        if (part != worker.parts.end()) part->second.events = cursor.sequence();
      }
      for (auto& [fence, part] : std::map(worker.parts)) {
        if (!keep.contains(fence) && part.status.phase() == v1::ATTEMPT_PHASE_ENDED)
          worker.parts.erase(fence);
      }
      for (auto& [fence, part] : worker.parts) {
        if (keep.contains(fence)) Report(worker, part);
      }
    } else if (message.has_reserve()) {
      const v1::Reserve& reserve = message.reserve();
      Part& part = worker.parts[state::KeyOf(reserve.fence())];
      if (part.status.phase() != v1::ATTEMPT_PHASE_UNSPECIFIED) return Report(worker, part);
      part.status.set_trial_id(reserve.trial_id());
      *part.status.mutable_fence() = reserve.fence();
      part.status.set_phase(v1::ATTEMPT_PHASE_PREPARING);
      part.world_size = reserve.world_size();
      part.step = part.saved = reserve.resume_step();
      for (const v1::RankPlacement& rank : reserve.ranks()) {
        part.slots.insert(rank.slot());
        part.rank_zero |= rank.rank() == 0;
      }
      for (const auto& [fence, other] :
           worker.parts) {  // the worker's own view: two attempts never share a slot
        if (&other == &part || other.status.phase() == v1::ATTEMPT_PHASE_ENDED) continue;
        for (int slot : other.slots)
          ASSERT_FALSE(part.slots.contains(slot)) << "slot twice on worker " << worker.id;
      }
      Report(worker, part);
    } else if (message.has_start()) {
      const auto part = worker.parts.find(state::KeyOf(message.start().fence()));
      if (part == worker.parts.end() || part->second.status.phase() != v1::ATTEMPT_PHASE_RESERVED) return;
      part->second.status.set_phase(v1::ATTEMPT_PHASE_RUNNING);
      Report(worker, part->second);
    } else if (message.has_stop()) {
      const auto part = worker.parts.find(state::KeyOf(message.stop().fence()));
      if (part != worker.parts.end()) {
        part->second.stopping = true;
        return;
      }
      Part nothing;
      nothing.status.set_trial_id(message.stop().trial_id());
      *nothing.status.mutable_fence() = message.stop().fence();
      EndPart(worker, nothing, v1::ATTEMPT_OUTCOME_STOPPED);
    }
  }

  void Train(ModelWorker& worker, Part& part) {
    part.step = std::min<int64_t>(part.step + 20, 100);
    if (part.rank_zero && worker.session != 0 && part.step > part.saved && Chance(0.5)) {
      RankEventsReceived event{worker.session, worker.id, {}};
      event.batch.set_trial_id(part.status.trial_id());
      *event.batch.mutable_fence() = part.status.fence();
      for (v1::RankEvent done : {Cluster::StepDone(part.step, 1.0), Cluster::Checkpoint(part.step)}) {
        done.set_sequence(++part.events);
        *event.batch.add_events() = std::move(done);
      }
      part.saved = part.step;
      Happen(event);
    }
    if (part.step == 100) {
      EndPart(worker, part, v1::ATTEMPT_OUTCOME_FINISHED);
    } else if (faulty_ && Chance(0.05)) {
      EndPart(worker, part, v1::ATTEMPT_OUTCOME_FAILED,
              Chance(0.5) ? v1::FAILURE_CAUSE_TRAINER_CRASH : v1::FAILURE_CAUSE_PEER_LOST);
    }
  }

  void WorkOn(ModelWorker& worker) {
    for (const state::FenceKey& fence : Fences(worker)) {
      const auto it = worker.parts.find(fence);
      if (it == worker.parts.end()) continue;
      Part& part = it->second;
      if (part.stopping) {
        if (Chance(0.3)) EndPart(worker, part, v1::ATTEMPT_OUTCOME_STOPPED);
      } else if (part.status.phase() == v1::ATTEMPT_PHASE_PREPARING && Chance(0.7)) {
        part.status.set_phase(v1::ATTEMPT_PHASE_RESERVED);
        if (part.rank_zero && part.world_size > 1) part.report.set_rendezvous(worker.id + ":1");
        Report(worker, part);
      } else if (part.status.phase() == v1::ATTEMPT_PHASE_RUNNING) {
        Train(worker, part);
      }
    }
  }

  static std::vector<state::FenceKey> Fences(const ModelWorker& worker) {
    std::vector<state::FenceKey> fences;
    for (const auto& [fence, part] : worker.parts) fences.push_back(fence);
    return fences;
  }

  void Connect(ModelWorker& worker) {
    v1::Hello hello = Cluster::Hello(worker.id, worker.slots, worker.instance);
    for (const auto& [fence, part] : worker.parts) *hello.add_attempts() = part.status;
    worker.session = ++sessions_;
    worker.inbox.clear();
    const uint64_t session = worker.session;
    WorkerConnected connected{session, hello};
    for (const v1::AttemptStatus& status : hello.attempts())
      connected.cursors.push_back(Cluster::Cursor(status, curves_[state::KeyOf(status.fence())]));
    Happen(connected);
    const auto known = state_.workers.find(worker.id);
    if (known == state_.workers.end() || known->second.session != session) Break(worker);  // refused
  }

  void Beat(ModelWorker& worker) {
    HeartbeatReceived event{worker.session, worker.id, {}};
    event.heartbeat.set_sequence(++worker.beats);
    for (const auto& [fence, part] : worker.parts) *event.heartbeat.add_attempts() = part.status;
    Happen(event);
    // Answered on the same stream: what had ended before is on the coordinator's disk.
    if (worker.session == event.session) {
      std::erase_if(worker.parts,
                    [](const auto& entry) { return entry.second.status.phase() == v1::ATTEMPT_PHASE_ENDED; });
    }
  }

  void Disturb(ModelWorker& worker) {
    if (Chance(0.03)) {  // the stream breaks; the coordinator may not notice
      const WorkerDisconnected gone{worker.session, worker.id};
      Break(worker);
      if (Chance(0.5)) Happen(gone);
    }
    if (Chance(0.01)) {  // the daemon restarts and adopts its ranks
      Break(worker);
      ++worker.instance;
    }
    if (Chance(0.01)) {  // the host restarts: nothing is left
      Break(worker);
      ++worker.instance;
      worker.parts.clear();
    }
  }

  void Round(bool faulty) {
    faulty_ = faulty;
    now_.steady = now_.steady + base::Seconds(1);
    now_.wall = now_.wall + base::Seconds(1);
    if (faulty && Chance(0.01)) {
      ++stored_.term;
      Load();
    }
    if (faulty && Chance(0.01)) {  // the coordinator's machine is suspended
      now_.steady = now_.steady + base::Seconds(60);
      Happen(StoodStill{base::Seconds(60)});
    }
    for (ModelWorker& worker : workers_) {
      if (faulty) Disturb(worker);
      if (worker.session == 0 && Chance(faulty ? 0.15 : 1)) Connect(worker);
      while (!worker.inbox.empty()) {
        const v1::CoordinatorMessage message = worker.inbox.front();
        worker.inbox.pop_front();
        Obey(worker, message);
      }
      WorkOn(worker);
      if (worker.session != 0) Beat(worker);
    }
    Happen(Tick{});
  }

  std::mt19937_64 random_;
  Options options_;
  base::Now now_{.steady = {1'000'000'000}, .wall = {1'700'000'000'000'000}};
  state::State state_;
  state::State stored_;
  std::map<state::FenceKey, uint64_t> curves_;  // the last event of rank 0 on disk
  std::vector<ModelWorker> workers_;
  std::map<std::string, v1::TrialState> ended_;
  uint64_t sessions_ = 0;
  bool faulty_ = false;
};

TEST(Faults, Promise1NoTrialIsLostOrRunTwiceWhateverFails) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    FaultModel(seed).RunAll();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace mixln::coordinator::control
