#include "coordinator/control/workers.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/version/compatible.h"
#include "coordinator/control/attempts.h"
#include "coordinator/control/deletion.h"
#include "coordinator/control/leftovers.h"
#include "coordinator/control/reconcile.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {
namespace {

// The decision's answer to input that is bad in this way.
absl::Status Refuse(Context& context, const char* kind, absl::Status why) {
  context.decision.refused = kind;
  return why;
}

absl::Status CheckHello(Context& context, const v1::Hello& hello) {
  if (hello.worker_id().empty())
    return Refuse(context, "malformed", absl::InvalidArgumentError("Hello.worker_id is empty"));
  const std::string& version = context.options.version;
  if (!version.empty() && !base::version::Compatible(version, hello.version())) {
    return Refuse(
        context, "version",
        absl::FailedPreconditionError(absl::StrCat(
            "worker ", hello.worker_id(), " is release ", hello.version(), ", the coordinator is ", version,
            ": they do not work together; install the coordinator's release on ", hello.hostname())));
  }
  if (!hello.cluster_id().empty() && hello.cluster_id() != context.state.cluster_id) {
    return Refuse(context, "other_cluster",
                  absl::FailedPreconditionError(absl::StrCat(
                      "worker ", hello.worker_id(), " belongs to cluster ", hello.cluster_id(),
                      ", and this is the coordinator of cluster ", context.state.cluster_id,
                      ": connect it to its own, or give it another state folder with --state-dir")));
  }
  if (hello.highest_term() > context.state.term) {
    return Refuse(context, "newer_term",
                  absl::FailedPreconditionError(absl::StrCat(
                      "this coordinator runs on an old copy of its state: its term is ", context.state.term,
                      ", and worker ", hello.worker_id(), " has seen ", hello.highest_term(),
                      "; restore a copy with `mixln-coordinator restore`, which raises the term")));
  }
  const auto known = context.state.workers.find(hello.worker_id());
  if (known == context.state.workers.end()) return absl::OkStatus();
  const state::WorkerRecord& record = known->second;
  if (hello.instance() < record.worker.instance()) {
    return Refuse(context, "older_worker",
                  absl::FailedPreconditionError(absl::StrCat(
                      "worker ", hello.worker_id(), " is an older daemon (instance ", hello.instance(),
                      ") than the one on ", record.worker.hostname(), " that was here since (instance ",
                      record.worker.instance(), "): two daemons share a state folder; give each its own")));
  }
  const bool alive = record.session != 0 && record.lease_expiry > context.now.steady;
  if (alive && hello.instance() == record.worker.instance()) {
    return Refuse(
        context, "same_worker",
        absl::AlreadyExistsError(absl::StrCat(
            "worker ", hello.worker_id(), " is connected already from ", record.worker.hostname(),
            "; if that stream is dead, its lease runs out in ",
            absl::StrFormat("%.0f", base::ToSeconds(record.lease_expiry - context.now.steady)), " s")));
  }
  return absl::OkStatus();
}

void SetWorkerState(Context& context, state::WorkerRecord& record, v1::WorkerState next) {
  if (record.worker.state() == next) return;
  record.worker.set_state(next);
  context.decision.changes.workers.insert(record.worker.id());
  context.place = true;
}

// Of a worker that is connected; `hands_back`: it shuts down.
v1::WorkerState StandingOf(const v1::Worker& worker, bool hands_back) {
  return worker.drained() || worker.quarantined() || hands_back ? v1::WORKER_STATE_DRAINING
                                                                : v1::WORKER_STATE_READY;
}

void RenewLease(Context& context, state::WorkerRecord& record) {
  record.lease_expiry = context.now.steady + context.options.lease;
  *record.worker.mutable_heartbeat_time() = state::ToTimestamp(context.now.wall);
}

void SendHeartbeatAck(Context& context, const HeartbeatReceived& event) {
  v1::CoordinatorMessage message;
  message.mutable_heartbeat_ack()->set_sequence(event.heartbeat.sequence());
  message.mutable_heartbeat_ack()->set_lease_only(event.lease_only);
  Send(context, event.worker_id, std::move(message));
}

// A part that the worker says it has.
void HealPresent(Context& context, const std::string& worker_id, const v1::AttemptStatus& status) {
  const LivePart part = FindLivePart(context.state, worker_id, status.trial_id(), status.fence());
  if (!part) {
    StopLeftover(context, worker_id, status);
  } else if (status.phase() != v1::ATTEMPT_PHASE_ENDED) {
    ObservePhase(context, part, worker_id, status.phase());
  } else {
    // Its report did not come: Stop has it sent again.
    SendStop(context, worker_id, status.trial_id(), status.fence(), v1::STOP_MODE_NOW, "how did it end?");
  }
}

}  // namespace

std::vector<std::string> TrialsOn(const state::State& state, const std::string& worker_id) {
  std::vector<std::string> ids;
  for (const auto& [trial_id, live] : state.live) {
    const v1::Attempt* attempt = state::LiveAttemptOf(state.trials.at(trial_id));
    if (attempt != nullptr && state::RunsOn(*attempt, worker_id)) ids.push_back(trial_id);
  }
  return ids;
}

absl::Status CheckSession(Context& context, const std::string& worker_id, uint64_t session) {
  const auto worker = context.state.workers.find(worker_id);
  if (worker != context.state.workers.end() && session != 0 && worker->second.session == session)
    return absl::OkStatus();
  context.decision.close_session = true;
  context.decision.refused = "stale_session";
  return absl::AbortedError(absl::StrCat("another session took the place of this one of worker ", worker_id));
}

absl::Status OnConnected(Context& context, const WorkerConnected& event) {
  const v1::Hello& hello = event.hello;
  absl::Status status = CheckHello(context, hello);
  if (!status.ok()) {
    context.decision.close_session = true;
    return status;
  }
  state::WorkerRecord& record = context.state.workers[hello.worker_id()];
  context.decision.replaced_session = record.session;
  record.session = event.session;
  record.tidied.clear();
  v1::Worker& worker = record.worker;
  worker.set_id(hello.worker_id());
  worker.set_hostname(hello.hostname());
  worker.set_version(hello.version());
  *worker.mutable_slots() = hello.slots();
  worker.set_metrics_address(hello.metrics_address());
  worker.set_instance(hello.instance());
  worker.set_artifacts_id(hello.artifacts_id());
  *worker.mutable_connect_time() = state::ToTimestamp(context.now.wall);
  RenewLease(context, record);
  SetWorkerState(context, record, StandingOf(record.worker, /*hands_back=*/false));
  context.decision.changes.workers.insert(hello.worker_id());
  context.place = true;
  Reconcile(context, event);
  TellDeletions(context, hello.worker_id());
  return absl::OkStatus();
}

void OnDisconnected(Context& context, const WorkerDisconnected& event) {
  const auto worker = context.state.workers.find(event.worker_id);
  if (worker != context.state.workers.end() && worker->second.session == event.session)
    worker->second.session = 0;
}

absl::Status OnHeartbeat(Context& context, const HeartbeatReceived& event) {
  absl::Status status = CheckSession(context, event.worker_id, event.session);
  if (!status.ok()) return status;
  state::WorkerRecord& record = context.state.workers.at(event.worker_id);
  RenewLease(context, record);
  if (event.lease_only) {
    SendHeartbeatAck(context, event);
    return absl::OkStatus();
  }
  SetWorkerState(context, record, StandingOf(record.worker, event.heartbeat.draining()));
  SendHeartbeatAck(context, event);

  const size_t leftovers = record.leftovers.size();
  record.leftovers.clear();
  std::set<state::FenceKey> present;
  for (const v1::AttemptStatus& attempt : event.heartbeat.attempts()) {
    present.insert(state::KeyOf(attempt.fence()));
    HealPresent(context, event.worker_id, attempt);
  }
  if (record.leftovers.size() < leftovers) context.place = true;
  for (const std::string& trial_id : TrialsOn(context.state, event.worker_id)) {
    v1::Trial& trial = context.state.trials.at(trial_id);
    const v1::Attempt& attempt = *state::LiveAttemptOf(trial);
    if (attempt.confirmed() && !present.contains(state::KeyOf(attempt.fence()))) {
      EndPart(context, trial, event.worker_id, v1::FAILURE_CAUSE_WORKER_LOST,
              absl::StrCat("worker ", event.worker_id, " does not have its ranks any more"));
    } else if (event.heartbeat.draining() && trial.state() != v1::TRIAL_STATE_STOPPING) {
      FailAttempt(context, trial, v1::FAILURE_CAUSE_PREEMPTED,
                  absl::StrCat("worker ", event.worker_id, " shuts down"), v1::STOP_MODE_CHECKPOINT);
    }
  }
  return absl::OkStatus();
}

void ExpireLeases(Context& context) {
  if (context.now.steady < context.state.leases_hold_until) return;
  for (auto& [id, record] : context.state.workers) {
    if (record.worker.state() == v1::WORKER_STATE_LOST || record.lease_expiry > context.now.steady) continue;
    const bool restarted = record.worker.state() == v1::WORKER_STATE_UNKNOWN;
    record.leftovers.clear();
    SetWorkerState(context, record, v1::WORKER_STATE_LOST);
    for (const std::string& trial_id : TrialsOn(context.state, id)) {
      EndPart(context, context.state.trials.at(trial_id), id, v1::FAILURE_CAUSE_WORKER_LOST,
              absl::StrCat("worker ", id,
                           restarted ? " did not come back after the coordinator's restart"
                                     : " was not heard of for the length of its lease"));
    }
  }
}

}  // namespace mixln::coordinator::control
