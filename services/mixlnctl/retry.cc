// `retry`.
#include <CLI/CLI.hpp>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

struct RetryOptions {
  std::vector<std::string> names;
  bool failed = false;
};

absl::Status RetryFailed(Io& io, Client& client, const std::string& sweep_id) {
  v1::RetrySweepRequest request;
  request.set_sweep_id(sweep_id);
  // Not repeated by itself: a second call finds that all have been tried again.
  const auto made = client.Call(client.sweeps(), &v1::SweepService::Stub::RetrySweep, request);
  if (!made.ok()) return made.status();
  io.err << "trying " << Plural(made->trial_ids_size(), "failed trial") << " of sweep " << sweep_id
         << " again as " << absl::StrJoin(made->trial_ids(), ", ") << "; `mixlnctl watch " << sweep_id
         << "` follows it\n";
  return absl::OkStatus();
}

absl::Status RetryTrial(Io& io, Client& client, const std::string& id) {
  v1::RetryTrialRequest request;
  request.set_trial_id(id);
  const auto made = client.CallUntilAnswered(client.trials(), &v1::TrialService::Stub::RetryTrial, request);
  if (!made.ok()) return made.status();
  if (IsTerminal(made->state())) {
    io.err << "trial " << id << " was tried again before as " << made->id() << ", which is "
           << StateName(made->state()) << "\n";
  } else {
    io.err << "trying trial " << id << " again as " << made->id() << "; `mixlnctl wait " << made->id()
           << "` returns when it has ended\n";
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Retry(Session& session, const RetryOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  auto found = FindAll(**client, options.names);
  if (!found.ok()) return found.status();
  for (const SweepOrTrial& one : *found) {
    if (one.sweep && !options.failed) {
      return absl::InvalidArgumentError(
          absl::StrCat(one.sweep->id(), " is a sweep: `mixlnctl retry --failed ", one.sweep->id(),
                       "` tries all of its failed trials again"));
    }
  }
  for (const SweepOrTrial& one : *found) {
    const absl::Status done = one.sweep ? RetryFailed(session.io, **client, one.sweep->id())
                                        : RetryTrial(session.io, **client, one.trial->id());
    if (!done.ok()) return done;
  }
  return kOk;
}

}  // namespace

void AddRetryCommand(CLI::App& app, Session& session) {
  auto options = std::make_shared<RetryOptions>();
  CLI::App* retry =
      app.add_subcommand("retry", "Try failed or cancelled trials again, from the start")->group("Run");
  retry->add_option("name", options->names, "Trials; with --failed, sweeps")
      ->type_name("SWEEP|TRIAL")
      ->required();
  retry->add_flag("--failed", options->failed,
                  "All failed trials of the sweep that were not tried again yet");
  retry->footer("How a trial ended never changes: a new trial of the same cell is made, and counts instead.");
  retry->callback(
      [&session, options] { session.action = [&session, options] { return Retry(session, *options); }; });
}

}  // namespace mixln::services::mixlnctl
