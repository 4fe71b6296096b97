// `submit` and `validate`.
#include <CLI/CLI.hpp>
#include <optional>
#include <ostream>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "coordinator/sweep/resolve.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/follow.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/output.h"
#include "services/mixlnctl/results_text.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/sweep_file.h"
#include "services/mixlnctl/table.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

struct SubmitOptions {
  SweepFileOptions file;
  bool dry_run = false;
  bool follow = false;
  OutputFormat format = OutputFormat::kTable;
};

// 128 random bits, so that a repeated call is known as the same (AIP-155).
std::string RandomRequestId() {
  std::random_device device;
  std::string id;
  for (int i = 0; i < 4; ++i) absl::StrAppend(&id, absl::Hex(device(), absl::kZeroPad8));
  return id;
}

v1::CreateSweepResponse AsResponse(const SweepFile& file) {
  v1::CreateSweepResponse response;
  response.mutable_sweep()->set_id(file.name);
  *response.mutable_sweep()->mutable_spec() = file.spec;
  response.mutable_sweep()->set_source_text(file.text);
  response.mutable_sweep()->mutable_notes()->Assign(file.notes.begin(), file.notes.end());
  response.mutable_cells()->Assign(file.cells.begin(), file.cells.end());
  return response;
}

void PrintCells(Io& io, const SweepFile& file, bool wide) {
  std::vector<Column> columns{{"TRIAL"}};
  for (const auto& p : file.spec.sweep().parameters()) columns.push_back({p.path()});
  columns.insert(columns.end(), {{"PLACEMENT"},
                                 {"POST LAYERS", Align::kRight},
                                 {"PARAMETERS", Align::kRight},
                                 {"TOKENS", Align::kRight}});
  if (wide) {
    columns.insert(columns.end(), {{"LAYERS", Align::kRight},
                                   {"STEPS", Align::kRight},
                                   {"LR", Align::kRight},
                                   {"SEED", Align::kRight},
                                   {"PRECISION"},
                                   {"RANKS", Align::kRight}});
  }
  columns.push_back({"NOTES"});
  Table table(columns);
  for (const v1::Cell& cell : file.cells) {
    const v1::TrialSpec& spec = cell.spec();
    std::vector<std::string> row{absl::StrCat(file.name, "-", cell.index())};
    for (const auto& p : cell.parameters()) row.push_back(p.value());
    row.resize(1 + static_cast<size_t>(file.spec.sweep().parameters_size()));
    const bool sized = spec.model().vocab_size() > 0;
    row.insert(row.end(),
               {coordinator::sweep::PlacementName(spec.norm().placement()),
                coordinator::sweep::HasAlpha(spec.norm().placement())
                    ? absl::StrCat(spec.norm().post_layers(), "/", spec.model().layers())
                    : "-",
                sized ? FormatCount(static_cast<double>(coordinator::sweep::ParameterCount(spec))) : "-",
                FormatCount(static_cast<double>(TrainTokens(spec)))});
    if (wide) {
      row.insert(row.end(), {absl::StrCat(spec.model().layers()), absl::StrCat(spec.train().steps()),
                             absl::StrCat(spec.train().lr()), absl::StrCat(spec.train().seed()),
                             spec.train().precision() == v1::PRECISION_BF16 ? "bf16" : "fp32",
                             absl::StrCat(spec.resources().ranks())});
    }
    row.push_back(absl::StrJoin(cell.notes(), "; "));
    table.AddRow(std::move(row));
  }
  io.out << table.Render(io.out_style);
}

// The file without problems, or nullopt after all of them were printed.
absl::StatusOr<std::optional<SweepFile>> LoadOrComplain(Io& io, const SubmitOptions& options) {
  auto file = LoadSweepFile(io, options.file);
  if (!file.ok()) return file.status();
  if (file->problems.empty()) {
    for (const std::string& note : file->notes) io.err << io.err_style.Yellow("note:") << " " << note << "\n";
    return std::optional(*std::move(file));
  }
  io.err << ProblemText(*file, io.err_style, io.err_is_terminal);
  io.err << io.err_style.Red("error:") << " "
         << Plural(static_cast<int64_t>(file->problems.size()), "problem") << " in " << file->display_name
         << "; nothing was started\n";
  return std::optional<SweepFile>();
}

absl::StatusOr<int> ShowDryRun(Io& io, const SubmitOptions& options, const SweepFile& file) {
  if (IsMessageFormat(options.format)) {
    if (auto printed = PrintMessage(io, options.format, AsResponse(file)); !printed.ok()) return printed;
    return kOk;
  }
  if (options.format == OutputFormat::kName) {
    for (const v1::Cell& cell : file.cells) io.out << file.name << "-" << cell.index() << "\n";
    return kOk;
  }
  PrintCells(io, file, options.format == OutputFormat::kWide);
  io.err << "sweep " << file.name << " would train "
         << Plural(static_cast<int64_t>(file.cells.size()), "trial") << "; nothing was submitted\n";
  return kOk;
}

absl::StatusOr<int> Submit(Session& session, const SubmitOptions& options) {
  Io& io = session.io;
  auto file = LoadOrComplain(io, options);
  if (!file.ok()) return file.status();
  if (!*file) return kError;
  if (options.dry_run) return ShowDryRun(io, options, **file);

  auto client = session.Connect();
  if (!client.ok()) return client.status();
  v1::CreateSweepRequest request;
  request.set_sweep_id((*file)->name);
  *request.mutable_spec() = (*file)->spec;
  request.set_source_text((*file)->text);
  request.set_allow_large(options.file.allow_large);
  request.set_request_id(RandomRequestId());
  auto response =
      (*client)->CallUntilAnswered((*client)->sweeps(), &v1::SweepService::Stub::CreateSweep, request);
  if (absl::IsAlreadyExists(response.status())) {
    return absl::AlreadyExistsError(
        absl::StrCat(std::string(response.status().message()),
                     "\n  --name NAME submits it under another name; nothing was started"));
  }
  if (!response.ok()) return response.status();
  const v1::Sweep& sweep = response->sweep();
  const std::string& id = sweep.id();
  if (IsMessageFormat(options.format)) {
    if (auto printed = PrintMessage(io, options.format, *response); !printed.ok()) return printed;
  } else if (options.format == OutputFormat::kName) {
    io.out << id << "\n";
  } else if (response->created()) {
    io.out << "sweep " << id << " submitted: " << Plural(static_cast<int64_t>((*file)->cells.size()), "trial")
           << "\n";
  } else {
    io.out << "sweep " << id << " exists already with the same spec: " << CountsText(sweep.counts()) << "\n";
  }
  if (options.follow) {
    io.out << std::flush;
    auto code = Follow(io, **client, id, {.format = options.format});
    if (!code.ok() || *code == kUnfinished || IsMessageFormat(options.format)) return code;
    io.out << "\n";
    if (auto shown = ShowResults(io, **client, options.format, id); !shown.ok()) return shown;
    return code;
  }
  const bool ended = !response->created() && UnfinishedTrials(sweep.counts()) == 0;
  io.err << "next:\n";
  for (const char* command : {ended ? "" : "watch", "results", ended ? "delete" : "cancel"}) {
    if (*command != '\0')
      io.err << "  " << io.err_style.Cyan(absl::StrCat("mixlnctl ", command, " ", id)) << "\n";
  }
  return kOk;
}

absl::StatusOr<int> Validate(Session& session, const SubmitOptions& options) {
  Io& io = session.io;
  auto file = LoadOrComplain(io, options);
  if (!file.ok()) return file.status();
  if (!*file) return kError;
  if (IsMessageFormat(options.format)) {
    if (auto printed = PrintMessage(io, options.format, AsResponse(**file)); !printed.ok()) return printed;
    return kOk;
  }
  io.out << (*file)->display_name << " is valid: sweep " << (*file)->name << ", "
         << Plural(static_cast<int64_t>((*file)->cells.size()), "trial") << "\n";
  return kOk;
}

void AddFileOptions(CLI::App* command, SweepFileOptions& file) {
  command->add_option("file", file.path, "The sweep file; - for standard input")
      ->type_name("FILE")
      ->required();
  command->add_option("--name", file.name, "Name of the sweep, instead of the file's metadata.name")
      ->type_name("NAME");
  command->add_flag("--allow-large", file.allow_large, "Allow more than 10,000 cells");
  command->add_flag("--skip-data-check", file.skip_data_check,
                    "Do not look at the data here: it is on the workers only, and paths are sent as written");
}

}  // namespace

void AddSubmitCommands(CLI::App& app, Session& session) {
  auto options = std::make_shared<SubmitOptions>();
  CLI::App* validate =
      app.add_subcommand("validate", "Check a sweep file and its data; start nothing")->group("Start");
  AddFileOptions(validate, options->file);
  AddOutputOption(validate, &options->format, /*has_names=*/false);
  validate->callback(
      [&session, options] { session.action = [&session, options] { return Validate(session, *options); }; });

  CLI::App* submit = app.add_subcommand("submit", "Start a sweep")->group("Start");
  AddFileOptions(submit, options->file);
  submit->add_flag("--dry-run", options->dry_run, "Show the expanded cells; start nothing");
  submit->add_flag("-f,--follow", options->follow, "Follow it live until it ends; Ctrl-C leaves it running");
  AddOutputOption(submit, &options->format);
  submit->footer("With --follow the exit code is that of `mixlnctl wait`.");
  submit->callback(
      [&session, options] { session.action = [&session, options] { return Submit(session, *options); }; });
}

}  // namespace mixln::services::mixlnctl
