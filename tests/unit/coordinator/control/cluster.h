// A coordinator in a test's hands: its state, its clock, and short ways to make things happen to it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/control/step.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {

struct Cluster {
  state::State state;
  base::Now now{.steady = {100'000'000}, .wall = {1'700'000'000'000'000}};
  Options options;
  Decision last;
  uint64_t sessions = 0;
  std::map<state::FenceKey, uint64_t> events;  // that rank 0 of an attempt has recorded; all are on disk

  Cluster() {
    state.cluster_id = "cluster";
    state.term = 3;
  }

  const Decision& Happen(const Event& event) {
    last = Step(state, event, now, options);
    return last;
  }

  const Decision& Pass(double seconds) {
    now.steady = now.steady + base::Seconds(seconds);
    now.wall = now.wall + base::Seconds(seconds);
    return Happen(Tick{});
  }

  // The coordinator's machine is suspended for so long.
  const Decision& StandStill(double seconds) {
    now.steady = now.steady + base::Seconds(seconds);
    now.wall = now.wall + base::Seconds(seconds);
    Happen(StoodStill{base::Seconds(seconds)});
    return Happen(Tick{});
  }

  static SweepSubmitted Sweep(const std::string& name, int cells, int ranks = 1) {
    SweepSubmitted event;
    event.sweep.set_id(name);
    event.sweep.set_uid("uid" + name);
    event.sweep.mutable_spec()->mutable_base()->mutable_train()->set_lr(0.001);
    for (int i = 0; i < cells; ++i) {
      v1::Cell& cell = event.cells.emplace_back();
      cell.set_index(i);
      v1::TrialSpec& spec = *cell.mutable_spec();
      spec.mutable_train()->set_steps(100);
      spec.mutable_train()->set_seed(i);
      spec.mutable_norm()->set_placement(v1::PLACEMENT_MIX);
      spec.mutable_norm()->set_alpha(0.25);
      spec.mutable_resources()->set_device(v1::DEVICE_CPU);
      spec.mutable_resources()->set_ranks(ranks);
      spec.mutable_retry()->set_max_retries(2);
    }
    return event;
  }

  static v1::Hello Hello(const std::string& worker, int slots, uint64_t instance = 1) {
    v1::Hello hello;
    hello.set_worker_id(worker);
    hello.set_hostname("host-" + worker);
    hello.set_version("0.1.0");
    hello.set_instance(instance);
    for (int i = 0; i < slots; ++i) {
      v1::Slot& slot = *hello.add_slots();
      slot.set_index(i);
      slot.set_device(v1::DEVICE_CPU);
    }
    return hello;
  }

  const Decision& Submit(const std::string& name, int cells, int ranks = 1) {
    return Happen(Sweep(name, cells, ranks));
  }
  const Decision& Connect(const std::string& worker, int slots) { return Connect(Hello(worker, slots)); }
  const Decision& Connect(const v1::Hello& hello) {
    WorkerConnected event{++sessions, hello};
    for (const v1::AttemptStatus& attempt : hello.attempts())
      event.cursors.push_back(Cursor(attempt, events[state::KeyOf(attempt.fence())]));
    return Happen(event);
  }
  const Decision& Disconnect(const std::string& worker) {
    return Happen(WorkerDisconnected{SessionOf(worker), worker});
  }

  uint64_t SessionOf(const std::string& worker) const { return state.workers.at(worker).session; }
  v1::Trial& Trial(const std::string& id) { return state.trials.at(id); }
  v1::TrialState StateOf(const std::string& id) const { return state.trials.at(id).state(); }
  const v1::Attempt& LastAttempt(const std::string& id) const {
    return *state.trials.at(id).attempts().rbegin();
  }

  v1::AttemptStatus Status(const std::string& trial, v1::AttemptPhase phase) const {
    v1::AttemptStatus status;
    status.set_trial_id(trial);
    *status.mutable_fence() = LastAttempt(trial).fence();
    status.set_phase(phase);
    return status;
  }

  v1::AttemptReport ReportOf(const std::string& trial, v1::AttemptPhase phase) const {
    v1::AttemptReport report;
    report.set_trial_id(trial);
    *report.mutable_fence() = LastAttempt(trial).fence();
    report.set_phase(phase);
    return report;
  }

  const Decision& Report(const std::string& worker, const v1::AttemptReport& report) {
    return Happen(AttemptReported{SessionOf(worker), worker, report});
  }
  const Decision& Report(const std::string& worker, const std::string& trial, v1::AttemptPhase phase,
                         const std::string& rendezvous = "") {
    v1::AttemptReport report = ReportOf(trial, phase);
    report.set_rendezvous(rendezvous);
    return Report(worker, report);
  }
  const Decision& End(const std::string& worker, const std::string& trial, v1::AttemptOutcome outcome,
                      v1::FailureCause cause = v1::FAILURE_CAUSE_UNSPECIFIED,
                      const std::string& message = "") {
    v1::AttemptReport report = ReportOf(trial, v1::ATTEMPT_PHASE_ENDED);
    report.set_outcome(outcome);
    report.set_cause(cause);
    report.set_message(message);
    return Report(worker, report);
  }
  const Decision& Fail(const std::string& worker, const std::string& trial, v1::FailureCause cause) {
    return End(worker, trial, v1::ATTEMPT_OUTCOME_FAILED, cause, "no luck");
  }

  // Brings a trial of one rank from STARTING to RUNNING.
  void RunOn(const std::string& worker, const std::string& trial) {
    Report(worker, trial, v1::ATTEMPT_PHASE_RESERVED);
    Report(worker, trial, v1::ATTEMPT_PHASE_RUNNING);
  }

  const Decision& Beat(const std::string& worker, const std::vector<v1::AttemptStatus>& attempts,
                       bool draining = false) {
    HeartbeatReceived event{SessionOf(worker), worker, {}};
    for (const v1::AttemptStatus& attempt : attempts) *event.heartbeat.add_attempts() = attempt;
    event.heartbeat.set_draining(draining);
    return Happen(event);
  }

  // What rank 0 records next.
  RankEventsReceived Batch(const std::string& worker, const std::string& trial,
                           const std::vector<v1::RankEvent>& recorded) {
    RankEventsReceived event{SessionOf(worker), worker, {}};
    event.batch.set_trial_id(trial);
    *event.batch.mutable_fence() = LastAttempt(trial).fence();
    for (const v1::RankEvent& rank_event : recorded) {
      v1::RankEvent& added = *event.batch.add_events();
      added = rank_event;
      added.set_sequence(++events[state::KeyOf(event.batch.fence())]);
    }
    return event;
  }
  // Of rank 0.
  static v1::EventAck Cursor(const v1::AttemptStatus& attempt, uint64_t sequence) {
    v1::EventAck cursor;
    cursor.set_trial_id(attempt.trial_id());
    *cursor.mutable_fence() = attempt.fence();
    cursor.set_sequence(sequence);
    return cursor;
  }

  static v1::RankEvent StepDone(int64_t step, double loss) {
    v1::RankEvent event;
    event.set_step(step);
    event.mutable_step_done()->set_loss(loss);
    return event;
  }
  static v1::RankEvent Checkpoint(int64_t step) {
    v1::RankEvent event;
    event.set_step(step);
    event.mutable_checkpoint_done()->set_path(absl::StrCat("checkpoints/step-", step));
    return event;
  }

  // A copy with the stored fields only, as a restarted coordinator loads it, one term later.
  void Restart() {
    state::State loaded;
    loaded.cluster_id = state.cluster_id;
    loaded.term = state.term + 1;
    loaded.last_epoch = state.last_epoch;
    loaded.sweeps = state.sweeps;
    loaded.trials = state.trials;
    for (const auto& [id, record] : state.workers) {
      loaded.workers[id].worker = record.worker;
      loaded.workers[id].deletions = record.deletions;
    }
    state = loaded;
    Recover(state, now, options);
  }

  // What the last decision sends to a worker, in short: "welcome keep=1", "reserve s-0 3-1", "start s-0
  // host:1", "stop s-0 3-1 now", "delete path", "ack 4".
  std::vector<std::string> SentTo(const std::string& worker) const {
    std::vector<std::string> sent;
    for (const Command& command : last.commands) {
      if (command.worker_id == worker) sent.push_back(InShort(command.message));
    }
    return sent;
  }

  static std::string InShort(const v1::CoordinatorMessage& message) {
    if (message.has_welcome()) return absl::StrCat("welcome keep=", message.welcome().keep_size());
    if (message.has_heartbeat_ack()) return absl::StrCat("ack ", message.heartbeat_ack().sequence());
    if (message.has_reserve()) {
      return absl::StrCat("reserve ", message.reserve().trial_id(), " ",
                          state::FenceName(message.reserve().fence()));
    }
    if (message.has_start())
      return absl::StrCat("start ", message.start().trial_id(), " ", message.start().rendezvous());
    if (message.has_stop()) {
      return absl::StrCat("stop ", message.stop().trial_id(), " ", state::FenceName(message.stop().fence()),
                          message.stop().mode() == v1::STOP_MODE_NOW ? " now" : " checkpoint");
    }
    if (message.has_delete_()) return absl::StrCat("delete ", message.delete_().paths(0));
    return "?";
  }
};

}  // namespace mixln::coordinator::control
