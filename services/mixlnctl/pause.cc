// `pause` and `resume`.
#include <CLI/CLI.hpp>
#include <ostream>

#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

absl::Status PauseSweep(Io& io, Client& client, const std::string& id) {
  v1::PauseSweepRequest request;
  request.set_sweep_id(id);
  const auto sweep = client.CallUntilAnswered(client.sweeps(), &v1::SweepService::Stub::PauseSweep, request);
  if (!sweep.ok()) return sweep.status();
  io.err << "pausing sweep " << id << " (" << CountsText(sweep->counts())
         << "): what runs writes a checkpoint first; `mixlnctl resume " << id << "` lets it go on\n";
  return absl::OkStatus();
}

absl::Status PauseTrial(Io& io, Client& client, const std::string& id) {
  v1::PauseTrialRequest request;
  request.set_trial_id(id);
  const auto trial = client.CallUntilAnswered(client.trials(), &v1::TrialService::Stub::PauseTrial, request);
  if (!trial.ok()) return trial.status();
  io.err << (trial->state() == v1::TRIAL_STATE_PAUSED ? "paused trial " : "pausing trial ") << id
         << (trial->state() == v1::TRIAL_STATE_PAUSED ? "" : ", which writes a checkpoint first")
         << "; `mixlnctl resume " << id << "` lets it go on\n";
  return absl::OkStatus();
}

// A resume is not repeated by itself: a second one finds nothing that is paused.
absl::Status ResumeSweep(Io& io, Client& client, const std::string& id) {
  v1::ResumeSweepRequest request;
  request.set_sweep_id(id);
  const auto sweep = client.Call(client.sweeps(), &v1::SweepService::Stub::ResumeSweep, request);
  if (!sweep.ok()) return sweep.status();
  io.err << "resumed sweep " << id << " (" << CountsText(sweep->counts()) << "); `mixlnctl watch " << id
         << "` follows it\n";
  return absl::OkStatus();
}

absl::Status ResumeTrial(Io& io, Client& client, const std::string& id) {
  v1::ResumeTrialRequest request;
  request.set_trial_id(id);
  const auto trial = client.Call(client.trials(), &v1::TrialService::Stub::ResumeTrial, request);
  if (!trial.ok()) return trial.status();
  if (trial->id() == id) {
    io.err << "resumed trial " << id << ": " << StateName(trial->state()) << "\n";
  } else {
    io.err << "trial " << id << " stays as it ended; " << trial->id()
           << " goes on from its last checkpoint\n";
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Change(Session& session, const std::vector<std::string>& names, bool pause) {
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  auto found = FindAll(**client, names);
  if (!found.ok()) return found.status();
  Io& io = session.io;
  const auto change_sweep = pause ? PauseSweep : ResumeSweep;
  const auto change_trial = pause ? PauseTrial : ResumeTrial;
  for (const SweepOrTrial& one : *found) {
    const absl::Status done =
        one.sweep ? change_sweep(io, **client, one.sweep->id()) : change_trial(io, **client, one.trial->id());
    if (!done.ok()) return done;
  }
  return kOk;
}

}  // namespace

void AddPauseCommands(CLI::App& app, Session& session) {
  auto names = std::make_shared<std::vector<std::string>>();
  for (const bool pause : {true, false}) {
    CLI::App* command = app.add_subcommand(pause ? "pause" : "resume",
                                           pause ? "Stop trials with a checkpoint until they are resumed"
                                                 : "Let paused trials go on from their checkpoint")
                            ->group("Run");
    command->add_option("name", *names, "Sweeps or trials")->type_name("SWEEP|TRIAL")->required();
    if (!pause) {
      command->footer(
          "A trial that its search strategy ended (PRUNED) stays as it is: a new one goes on from its last "
          "checkpoint.");
    }
    command->callback([&session, names, pause] {
      session.action = [&session, names, pause] { return Change(session, *names, pause); };
    });
  }
}

}  // namespace mixln::services::mixlnctl
