// `watch` and `wait`.
#include <CLI/CLI.hpp>
#include <map>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/follow.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/results_text.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

struct WatchOptions {
  std::string name;
  double timeout_seconds = 0;
  OutputFormat format = OutputFormat::kTable;
};

// NOT_FOUND has an exit code of its own here.
absl::StatusOr<int> OrNotFound(Io& io, const absl::Status& status) {
  if (!absl::IsNotFound(status)) return status;
  io.err << io.err_style.Red("error:") << " " << status.message() << "\n";
  return kNotFound;
}

absl::StatusOr<int> Watch(Session& session, const WatchOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  auto sweep = FindSweep(**client, options.name);
  if (!sweep.ok()) return OrNotFound(session.io, sweep.status());
  auto code = Follow(session.io, **client, sweep->id(), {.format = options.format});
  if (!code.ok()) return OrNotFound(session.io, code.status());
  if (*code == kUnfinished || IsMessageFormat(options.format)) return code;
  session.io.out << "\n";
  if (auto shown = ShowResults(session.io, **client, options.format, sweep->id()); !shown.ok()) return shown;
  return code;
}

absl::StatusOr<int> Wait(Session& session, const WatchOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  auto found = FindAny(**client, options.name);
  if (!found.ok()) return OrNotFound(session.io, found.status());
  const std::string sweep_id = found->sweep ? found->sweep->id() : found->trial->sweep_id();
  const std::string trial_id = found->trial ? found->trial->id() : "";
  auto code = Follow(session.io, **client, sweep_id,
                     {.silent = true, .trial_id = trial_id, .timeout_seconds = options.timeout_seconds});
  if (!code.ok()) return OrNotFound(session.io, code.status());
  if (*code == kUnfinished) return code;
  auto end = FindAny(**client, options.name);
  if (!end.ok()) return OrNotFound(session.io, end.status());
  if (end->sweep) {
    session.io.err << "sweep " << sweep_id << ": " << CountsText(end->sweep->counts()) << "\n";
  } else {
    const auto tried_again = FindRetryOf(**client, *end->trial);
    if (!tried_again.ok()) return tried_again.status();
    session.io.err << "trial " << trial_id << ": " << StateName(end->trial->state())
                   << (end->trial->reason().empty() ? "" : ", ") << end->trial->reason()
                   << (tried_again->empty() ? "" : "; tried again as ") << *tried_again << "\n";
  }
  return code;
}

}  // namespace

void AddFollowCommands(CLI::App& app, Session& session) {
  auto options = std::make_shared<WatchOptions>();
  CLI::App* watch =
      app.add_subcommand("watch", "Follow a sweep live until it ends, then show its results")->group("Look");
  watch->add_option("sweep", options->name, "The sweep")->type_name("SWEEP")->required();
  AddOutputOption(watch, &options->format, /*has_names=*/false);
  watch->callback(
      [&session, options] { session.action = [&session, options] { return Watch(session, *options); }; });

  CLI::App* wait = app.add_subcommand("wait", "Wait until a sweep or trial has ended; the exit code says how")
                       ->group("Run");
  wait->add_option("name", options->name, "The sweep or trial")->type_name("SWEEP|TRIAL")->required();
  wait->add_option("--timeout", options->timeout_seconds, "Wait so long at most, such as 90s, 10m, 2h")
      ->transform(CLI::Validator(CLI::AsNumberWithUnit(std::map<std::string, double>{
                                     {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}))
                      .description(""))
      ->type_name("TIME");
  wait->footer(
      "Exit codes: 0 all trials ended with a result (a DIVERGED trial is one), 100 a trial failed, 101 not "
      "all have ended\n"
      "(time-out, Ctrl-C), 102 there is no such sweep or trial, 103 a trial was cancelled and none failed.");
  wait->callback(
      [&session, options] { session.action = [&session, options] { return Wait(session, *options); }; });
}

}  // namespace mixln::services::mixlnctl
