#include "coordinator/control/deletion.h"

#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/control/cancel.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {
namespace {

void SendDelete(Context& context, state::WorkerRecord& record, const std::set<std::string>& paths) {
  v1::CoordinatorMessage message;
  for (const std::string& path : paths) message.mutable_delete_()->add_paths(path);
  record.deletions_told = context.now.steady;
  Send(context, record.worker.id(), std::move(message));
}

// Workers that ran any of the trials.
std::set<std::string> RunnersOf(const state::State& state, const std::vector<std::string>& trials) {
  std::set<std::string> runners;
  for (const std::string& id : trials) {
    for (const v1::Attempt& attempt : state.trials.at(id).attempts()) {
      for (const std::string& worker : state::WorkersOf(attempt)) runners.insert(worker);
    }
  }
  return runners;
}

absl::Status OrderDeletion(Context& context, const v1::Sweep& sweep, std::set<std::string> deleters) {
  std::string connected;
  bool runner_is_here = false;
  for (const auto& [id, record] : context.state.workers) {
    if (record.session == 0) continue;
    connected = id;
    runner_is_here = runner_is_here || deleters.contains(id);
  }
  if (connected.empty()) {
    return absl::UnavailableError(
        absl::StrCat("no worker is connected that could delete the artifacts of sweep ", sweep.id(),
                     ": start one and try again"));
  }
  if (!runner_is_here) deleters.insert(connected);
  for (const std::string& id : deleters) {
    const auto worker = context.state.workers.find(id);
    if (worker == context.state.workers.end()) continue;
    worker->second.deletions.insert(sweep.artifact_uri());
    context.decision.changes.workers.insert(id);
    SendDelete(context, worker->second, {sweep.artifact_uri()});
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DeleteSweep(Context& context, const std::string& sweep_id) {
  const auto sweep = context.state.sweeps.find(sweep_id);
  if (sweep == context.state.sweeps.end()) return NoSuchSweep(sweep_id);
  const std::vector<std::string> trials = state::TrialsOf(context.state, sweep_id);
  int unfinished = 0;
  for (const std::string& id : trials) {
    if (!state::IsTerminal(context.state.trials.at(id).state())) ++unfinished;
  }
  if (unfinished > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("sweep ", sweep_id, " has ", unfinished, unfinished == 1 ? " trial" : " trials",
                     " that did not end yet: cancel it first (`mixlnctl cancel ", sweep_id, "`)"));
  }
  if (std::set<std::string> runners = RunnersOf(context.state, trials); !runners.empty()) {
    absl::Status ordered = OrderDeletion(context, sweep->second, std::move(runners));
    if (!ordered.ok()) return ordered;
  }
  for (const std::string& id : trials) {
    context.state.trials.erase(id);
    context.decision.changes.trials.insert(id);
  }
  context.state.sweeps.erase(sweep);
  context.decision.changes.sweeps.insert(sweep_id);
  return absl::OkStatus();
}

void TellDeletions(Context& context, const std::string& worker_id) {
  state::WorkerRecord& record = context.state.workers.at(worker_id);
  if (!record.deletions.empty()) SendDelete(context, record, record.deletions);
}

void ForgetToldDeletions(Context& context) {
  for (auto& [id, record] : context.state.workers) {
    // Twice the lease: what it was heard to say may have been under way for one.
    const bool knows = record.session != 0 && record.lease_expiry > context.now.steady &&
                       context.now.steady - record.deletions_told > 2 * context.options.lease;
    if (record.deletions.empty() || !knows) continue;
    record.deletions.clear();
    context.decision.changes.workers.insert(id);
  }
}

}  // namespace mixln::coordinator::control
