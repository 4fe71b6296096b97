// `cancel` and `delete`.
#include <CLI/CLI.hpp>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

absl::StatusOr<int> CancelSweep(Io& io, Client& client, const v1::Sweep& sweep) {
  const int unfinished = UnfinishedTrials(sweep.counts());
  if (unfinished == 0) {
    io.err << "sweep " << sweep.id() << " has ended already (" << CountsText(sweep.counts()) << ")\n";
    return kOk;
  }
  v1::CancelSweepRequest request;
  request.set_sweep_id(sweep.id());
  auto answer = client.CallUntilAnswered(client.sweeps(), &v1::SweepService::Stub::CancelSweep, request);
  if (!answer.ok()) return answer.status();
  io.err << "cancelling " << Plural(unfinished, "trial") << " of sweep " << sweep.id() << "; `mixlnctl wait "
         << sweep.id() << "` returns when they have ended\n";
  return kOk;
}

absl::StatusOr<int> CancelTrial(Io& io, Client& client, const v1::Trial& trial) {
  if (IsTerminal(trial.state())) {
    io.err << "trial " << trial.id() << " has ended already (" << StateName(trial.state()) << ")\n";
    return kOk;
  }
  v1::CancelTrialRequest request;
  request.set_trial_id(trial.id());
  auto answer = client.CallUntilAnswered(client.trials(), &v1::TrialService::Stub::CancelTrial, request);
  if (!answer.ok()) return answer.status();
  io.err << "cancelling trial " << trial.id() << "; `mixlnctl wait " << trial.id()
         << "` returns when it has ended\n";
  return kOk;
}

absl::StatusOr<int> Cancel(Session& session, const std::vector<std::string>& names) {
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  auto found = FindAll(**client, names);
  if (!found.ok()) return found.status();
  for (const SweepOrTrial& one : *found) {
    auto done = one.sweep ? CancelSweep(session.io, **client, *one.sweep)
                          : CancelTrial(session.io, **client, *one.trial);
    if (!done.ok()) return done;
  }
  return kOk;
}

absl::StatusOr<int> Delete(Session& session, const std::vector<std::string>& names) {
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  std::vector<v1::Sweep> sweeps;
  for (const std::string& name : names) {
    auto sweep = FindSweep(**client, name);
    if (!sweep.ok()) return sweep.status();
    if (const int unfinished = UnfinishedTrials(sweep->counts()); unfinished > 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("sweep ", sweep->id(), " has ", Plural(unfinished, "trial"),
                       " that have not ended: `mixlnctl cancel ", sweep->id(), "` and `mixlnctl wait ",
                       sweep->id(), "` first"));
    }
    sweeps.push_back(*std::move(sweep));
  }
  for (const v1::Sweep& sweep : sweeps) {
    v1::DeleteSweepRequest request;
    request.set_sweep_id(sweep.id());
    auto answer = (*client)->Call((*client)->sweeps(), &v1::SweepService::Stub::DeleteSweep, request);
    if (!answer.ok()) return answer.status();
    session.io.err << "deleted sweep " << sweep.id() << ", " << Plural(TotalTrials(sweep.counts()), "trial")
                   << " and their artifacts\n";
  }
  return kOk;
}

}  // namespace

void AddEndCommands(CLI::App& app, Session& session) {
  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* cancel = app.add_subcommand("cancel", "End the trials of a sweep, or one trial")->group("Run");
  cancel->add_option("name", *names, "Sweeps or trials")->type_name("SWEEP|TRIAL")->required();
  cancel->callback(
      [&session, names] { session.action = [&session, names] { return Cancel(session, *names); }; });
  CLI::App* del =
      app.add_subcommand("delete", "Forget an ended sweep and delete its checkpoints, logs and curves")
          ->group("Run");
  del->add_option("name", *names, "Sweeps")->type_name("SWEEP")->required();
  del->callback(
      [&session, names] { session.action = [&session, names] { return Delete(session, *names); }; });
}

}  // namespace mixln::services::mixlnctl
