// `get`: lists.
#include <CLI/CLI.hpp>
#include <chrono>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/output.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/table.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

struct GetOptions {
  std::string name;
  OutputFormat format = OutputFormat::kTable;
};

double NowSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string Times(const google::protobuf::Timestamp& start, const google::protobuf::Timestamp& end) {
  if (start.seconds() == 0) return "-";
  return FormatDuration((end.seconds() == 0 ? NowSeconds() : SecondsOf(end)) - SecondsOf(start));
}

int PrintSweeps(Io& io, OutputFormat format, const google::protobuf::RepeatedPtrField<v1::Sweep>& sweeps) {
  if (format == OutputFormat::kName) {
    for (const v1::Sweep& sweep : sweeps) io.out << sweep.id() << "\n";
    return kOk;
  }
  if (sweeps.empty()) {
    io.err << "no sweeps yet: `mixlnctl submit FILE` starts one\n";
    return kOk;
  }
  const bool wide = format == OutputFormat::kWide;
  std::vector<Column> columns{{"NAME"}, {"TRIALS", Align::kRight}, {"STATE"}, {"AGE"}, {"TIME"}};
  if (wide) columns.insert(columns.end(), {{"SWEPT"}, {"UID"}, {"CREATED"}, {"ARTIFACTS"}});
  Table table(columns);
  for (const v1::Sweep& sweep : sweeps) {
    std::vector<std::string> row{sweep.id(), absl::StrCat(TotalTrials(sweep.counts())),
                                 CountsText(sweep.counts()), AgeText(sweep.create_time(), NowSeconds()),
                                 Times(sweep.create_time(), sweep.end_time())};
    if (wide) {
      std::string swept;
      for (const auto& p : sweep.spec().sweep().parameters()) {
        absl::StrAppend(&swept, swept.empty() ? "" : ",", p.path());
      }
      row.insert(row.end(), {swept.empty() ? "-" : swept, sweep.uid(), TimeText(sweep.create_time()),
                             sweep.artifact_uri()});
    }
    table.AddRow(std::move(row));
  }
  io.out << table.Render(io.out_style);
  return kOk;
}

int PrintTrials(Io& io, OutputFormat format, const google::protobuf::RepeatedPtrField<v1::Trial>& trials) {
  if (format == OutputFormat::kName) {
    for (const v1::Trial& trial : trials) io.out << trial.id() << "\n";
    return kOk;
  }
  if (trials.empty()) {
    io.err << "no trials\n";
    return kOk;
  }
  const bool wide = format == OutputFormat::kWide;
  std::vector<Column> columns{{"NAME"},
                              {"PARAMETERS"},
                              {"STATE"},
                              {"STEP", Align::kRight},
                              {"LOSS", Align::kRight},
                              {"PERPLEXITY", Align::kRight},
                              {"TOKENS", Align::kRight},
                              {"TIME"}};
  if (wide) {
    columns.insert(columns.end(), {{"BITS/BYTE", Align::kRight},
                                   {"TOKENS/S", Align::kRight},
                                   {"ATTEMPTS", Align::kRight},
                                   {"WORKER"},
                                   {"REASON"}});
  }
  Table table(columns);
  for (const v1::Trial& trial : trials) {
    const v1::TrialProgress& progress = trial.progress();
    std::vector<std::string> row{trial.id(),
                                 ParameterText(trial.parameters()),
                                 PaintState(StateName(trial.state()), io.out_style),
                                 absl::StrCat(progress.step(), "/", trial.spec().train().steps()),
                                 FormatLoss(progress.loss()),
                                 FormatPerplexity(progress.perplexity()),
                                 FormatCount(static_cast<double>(progress.tokens())),
                                 Times(trial.start_time(), trial.end_time())};
    if (wide) {
      std::string worker = "-";
      if (!trial.attempts().empty() && !trial.attempts().rbegin()->ranks().empty()) {
        worker = trial.attempts().rbegin()->ranks(0).worker_id();
      }
      row.insert(row.end(),
                 {FormatLoss(progress.bits_per_byte()),
                  progress.tokens_per_second() > 0 ? FormatCount(progress.tokens_per_second()) : "-",
                  absl::StrCat(trial.attempts_size()), worker, trial.reason()});
    }
    table.AddRow(std::move(row));
  }
  io.out << table.Render(io.out_style);
  return kOk;
}

absl::StatusOr<int> GetSweeps(Session& session, const GetOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  v1::ListSweepsResponse list;
  if (!options.name.empty()) {
    auto sweep = FindSweep(**client, options.name);
    if (!sweep.ok()) return sweep.status();
    if (IsMessageFormat(options.format)) {
      if (auto status = PrintMessage(session.io, options.format, *sweep); !status.ok()) return status;
      return kOk;
    }
    *list.add_sweeps() = *std::move(sweep);
  } else {
    auto all = ListSweeps(**client);
    if (!all.ok()) return all.status();
    list = *std::move(all);
    if (IsMessageFormat(options.format)) {
      if (auto status = PrintMessage(session.io, options.format, list); !status.ok()) return status;
      return kOk;
    }
  }
  return PrintSweeps(session.io, options.format, list.sweeps());
}

absl::StatusOr<int> GetTrials(Session& session, const GetOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  std::string sweep_id;
  if (!options.name.empty()) {
    auto found = FindAny(**client, options.name);
    if (!found.ok()) return found.status();
    if (found->trial) {
      if (IsMessageFormat(options.format)) {
        if (auto status = PrintMessage(session.io, options.format, *found->trial); !status.ok())
          return status;
        return kOk;
      }
      v1::ListTrialsResponse one;
      *one.add_trials() = *std::move(found->trial);
      return PrintTrials(session.io, options.format, one.trials());
    }
    sweep_id = found->sweep->id();
  }
  auto list = ListTrials(**client, sweep_id);
  if (!list.ok()) return list.status();
  if (IsMessageFormat(options.format)) {
    if (auto status = PrintMessage(session.io, options.format, *list); !status.ok()) return status;
    return kOk;
  }
  return PrintTrials(session.io, options.format, list->trials());
}

}  // namespace

void AddGetCommand(CLI::App& app, Session& session) {
  CLI::App* get = app.add_subcommand("get", "List sweeps or trials")->group("Look");
  get->require_subcommand(1);
  auto options = std::make_shared<GetOptions>();
  CLI::App* sweeps = get->add_subcommand("sweeps", "All sweeps, newest first, or one")->alias("sweep");
  sweeps->add_option("name", options->name, "One sweep, by name or uid")->type_name("SWEEP");
  AddOutputOption(sweeps, &options->format);
  sweeps->callback(
      [&session, options] { session.action = [&session, options] { return GetSweeps(session, *options); }; });
  CLI::App* trials =
      get->add_subcommand("trials", "The trials of all sweeps, of one sweep, or one")->alias("trial");
  trials->add_option("name", options->name, "A sweep, or one trial")->type_name("SWEEP|TRIAL");
  AddOutputOption(trials, &options->format);
  trials->callback(
      [&session, options] { session.action = [&session, options] { return GetTrials(session, *options); }; });
}

}  // namespace mixln::services::mixlnctl
