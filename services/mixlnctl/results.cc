// `results`: the comparison.
#include <CLI/CLI.hpp>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/results_text.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

struct ResultsOptions {
  std::string sweep;
  OutputFormat format = OutputFormat::kTable;
};

absl::StatusOr<int> Results(Session& session, const ResultsOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  auto sweep = FindSweep(**client, options.sweep);
  if (!sweep.ok()) return sweep.status();
  if (auto shown = ShowResults(session.io, **client, options.format, sweep->id()); !shown.ok()) return shown;
  if (const int unfinished = UnfinishedTrials(sweep->counts()); unfinished > 0) {
    session.io.err << Plural(unfinished, "trial") << " of " << TotalTrials(sweep->counts())
                   << " have not ended: `mixlnctl watch " << sweep->id() << "` shows them\n";
  }
  return kOk;
}

}  // namespace

void AddResultsCommand(CLI::App& app, Session& session) {
  auto options = std::make_shared<ResultsOptions>();
  CLI::App* results =
      app.add_subcommand("results", "Compare a sweep's cells: perplexity, mean and spread over seeds")
          ->group("Look");
  results->add_option("sweep", options->sweep, "The sweep")->type_name("SWEEP")->required();
  AddOutputOption(results, &options->format);
  results->callback(
      [&session, options] { session.action = [&session, options] { return Results(session, *options); }; });
}

}  // namespace mixln::services::mixlnctl
