// `describe`: everything about one sweep or trial, and what to do next.
#include <CLI/CLI.hpp>
#include <chrono>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "coordinator/sweep/resolve.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/output.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/table.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

constexpr size_t kKeyWidth = 13;

double NowSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// "Key:         value", or nothing for an empty value.
void Line(Io& io, const std::string& key, const std::string& value) {
  if (value.empty()) return;
  const std::string gap(key.size() + 1 < kKeyWidth ? kKeyWidth - key.size() - 1 : 1, ' ');
  io.out << io.out_style.Bold(absl::StrCat(key, ":")) << gap << value << "\n";
}

// As Line, with the further lines of the value below its first.
void Lines(Io& io, const std::string& key, const std::string& value) {
  Line(io, key, absl::StrReplaceAll(value, {{"\n", absl::StrCat("\n", std::string(kKeyWidth, ' '))}}));
}

std::string FirstLine(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

void Indented(Io& io, const Table& table) {
  for (const std::string& line : table.Lines(io.out_style)) io.out << "  " << line << "\n";
}

std::string WithAge(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) return "";
  return absl::StrCat(TimeText(time), " (", AgeText(time, NowSeconds()), " ago)");
}

std::string LayerText(const v1::NormSpec& norm) {
  std::string text = coordinator::sweep::PlacementName(norm.placement());
  if (norm.placement() == v1::PLACEMENT_CUSTOM) {
    const auto name = [](std::string* out, int layer) {
      out->append(coordinator::sweep::PlacementName(static_cast<v1::Placement>(layer)));
    };
    absl::StrAppend(&text, ", layers ", absl::StrJoin(norm.layer_placements(), ", ", name));
  } else if (norm.layer_placements_size() > 0 && coordinator::sweep::HasAlpha(norm.placement())) {
    absl::StrAppend(&text, ", ", norm.post_layers(), " of ", Plural(norm.layer_placements_size(), "layer"),
                    " post");
  }
  if (norm.placement() == v1::PLACEMENT_MIX) absl::StrAppend(&text, " (alpha ", norm.alpha(), ")");
  if (norm.kind() == v1::NORM_KIND_LAYERNORM) absl::StrAppend(&text, ", LayerNorm");
  return text;
}

std::string ModelText(const v1::TrialSpec& spec) {
  const v1::ModelSpec& model = spec.model();
  std::string text = model.preset();
  absl::StrAppend(&text, text.empty() ? "" : ", ", Plural(model.layers(), "layer"), " of ",
                  model.hidden_size(), " channels, ", Plural(model.heads(), "head"));
  if (model.vocab_size() > 0) {
    absl::StrAppend(&text, ", ", FormatCount(static_cast<double>(coordinator::sweep::ParameterCount(spec))),
                    " parameters");
  }
  return text;
}

std::string TrainText(const v1::TrialSpec& spec) {
  const auto& train = spec.train();
  return absl::StrCat(Plural(train.steps(), "step"), " of ", train.batch().sequences(), " x ",
                      spec.data().context(), " tokens, lr ", train.lr(), ", seed ", train.seed());
}

void Next(Io& io, const std::vector<std::string>& commands) {
  io.err << "next:\n";
  for (const std::string& command : commands) io.err << "  " << io.err_style.Cyan(command) << "\n";
}

// How the newest attempt failed: its cause, and the error of the rank that failed first. Empty when it did
// not.
std::string ErrorOf(const v1::Trial& trial) {
  if (trial.attempts().empty()) return "";
  const v1::Attempt& attempt = *trial.attempts().rbegin();
  if (attempt.cause() == v1::FAILURE_CAUSE_UNSPECIFIED || attempt.cause() == v1::FAILURE_CAUSE_PREEMPTED)
    return "";
  return absl::StrCat(CauseName(attempt.cause()), attempt.message().empty() ? "" : ", ", attempt.message());
}

void DescribeSweep(Io& io, const v1::Sweep& sweep, const v1::ListTrialsResponse& trials) {
  Line(io, "Sweep", sweep.id());
  Line(io, "Uid", sweep.uid());
  Line(io, "State", CountsText(sweep.counts()));
  Line(io, "Created", WithAge(sweep.create_time()));
  Line(io, "Ended", WithAge(sweep.end_time()));
  Line(io, "Artifacts", sweep.artifact_uri());
  const v1::SearchSpec& search = sweep.spec().sweep();
  if (search.strategy() == v1::STRATEGY_RANDOM || search.strategy() == v1::STRATEGY_ASHA)
    Line(io, "Search", SearchText(search));
  for (const auto& p : search.parameters()) {
    Line(io, "Swept", absl::StrCat(p.path(), " over ", ValuesText(p)));
  }
  if (!trials.trials().empty()) {
    Line(io, "Model", ModelText(trials.trials(0).spec()));
    Line(io, "Training", TrainText(trials.trials(0).spec()));
  }
  for (const std::string& note : sweep.notes()) Line(io, "Note", note);
  Table table({{"TRIAL"},
               {"PARAMETERS"},
               {"STATE"},
               {"STEP", Align::kRight},
               {"PERPLEXITY", Align::kRight},
               {"REASON"}});
  for (const v1::Trial& t : trials.trials()) {
    table.AddRow({t.id(), ParameterText(t.parameters()), PaintState(StateName(t.state()), io.out_style),
                  absl::StrCat(t.progress().step(), "/", t.spec().train().steps()),
                  FormatPerplexity(t.progress().perplexity()), FirstLine(t.reason())});
  }
  io.out << "\n";
  Indented(io, table);
  std::vector<const char*> next;
  const bool unfinished = ExitCodeOf(sweep.counts()) == kUnfinished;
  if (sweep.counts().paused() > 0) next.push_back("resume ");
  if (sweep.counts().failed() > 0) next.push_back("retry --failed ");
  next.push_back(unfinished ? "watch " : "results ");
  next.push_back(unfinished ? "cancel " : "delete ");
  std::vector<std::string> commands;
  commands.reserve(next.size());
  for (const char* command : next) commands.push_back(absl::StrCat("mixlnctl ", command, sweep.id()));
  Next(io, commands);
}

void PrintAttempts(Io& io, const v1::Trial& trial) {
  if (trial.attempts().empty()) return;
  io.out << "\n" << io.out_style.Bold("Attempts:") << "\n";
  Table table({{"NUMBER", Align::kRight},
               {"FENCE"},
               {"WORKER"},
               {"FROM STEP", Align::kRight},
               {"STARTED"},
               {"TIME"},
               {"ENDED BY"},
               {"MESSAGE"}});
  int number = 0;
  for (const v1::Attempt& a : trial.attempts()) {
    std::string workers;
    for (const v1::RankPlacement& rank : a.ranks()) {
      const std::string place = absl::StrCat(ShortWorkerId(rank.worker_id()), " slot ", rank.slot());
      absl::StrAppend(&workers, workers.empty() ? "" : ", ", place);
    }
    const bool live = a.end_time().seconds() == 0;
    const double end = live ? NowSeconds() : SecondsOf(a.end_time());
    std::string how = a.cause() == v1::FAILURE_CAUSE_UNSPECIFIED ? "-" : CauseName(a.cause());
    table.AddRow({absl::StrCat(++number), absl::StrCat(a.fence().term(), "-", a.fence().epoch()),
                  workers.empty() ? "-" : workers, absl::StrCat(a.resume_step()), TimeText(a.create_time()),
                  FormatDuration(end - SecondsOf(a.create_time())), live ? "(live)" : how,
                  FirstLine(a.message())});
  }
  Indented(io, table);
  number = 0;
  for (const v1::Attempt& a : trial.attempts()) {
    ++number;
    if (!a.anew_reason().empty())
      io.out << absl::StrCat("  Attempt ", number, " started anew: ", a.anew_reason(), "\n");
  }
}

void PrintCheckpoints(Io& io, const v1::Trial& trial) {
  if (trial.checkpoints().empty()) return;
  io.out << "\n" << io.out_style.Bold("Checkpoints:") << "\n";
  Table table(
      {{"STEP", Align::kRight}, {"SIZE", Align::kRight}, {"PATH BELOW THE ARTIFACTS ROOT"}, {"REMARK"}});
  for (const v1::Checkpoint& c : trial.checkpoints()) {
    table.AddRow(
        {absl::StrCat(c.step()), FormatBytes(c.size_bytes()), c.path(), c.bad() ? "does not load" : ""});
  }
  Indented(io, table);
}

// `tried_again`: the id of the trial that tries this one again; empty: none.
void DescribeTrial(Io& io, const v1::Trial& trial, const std::string& tried_again) {
  const v1::TrialProgress& progress = trial.progress();
  const bool failed = trial.state() == v1::TRIAL_STATE_FAILED;
  Line(io, "Trial", trial.id());
  Line(io, "Sweep", trial.sweep_id());
  Line(io, "Parameters", ParameterText(trial.parameters()));
  Line(io, "State", PaintState(StateName(trial.state()), io.out_style));
  const std::string error = trial.state() == v1::TRIAL_STATE_DIVERGED ? "" : ErrorOf(trial);
  Lines(io, "Error", error);
  if (error.empty() || !failed)
    Lines(io, trial.state() == v1::TRIAL_STATE_PENDING ? "Waits" : "Reason", trial.reason());
  if (trial.retries() > 0) Line(io, "Retries", absl::StrCat(trial.retries(), " without progress"));
  Line(io, "Tried again", tried_again);
  Line(io, "Doing", IsTerminal(trial.state()) ? "" : progress.phase());
  if (trial.not_before().seconds() > 0 && SecondsOf(trial.not_before()) > NowSeconds()) {
    Line(io, "Next try", absl::StrCat("in ", FormatDuration(SecondsOf(trial.not_before()) - NowSeconds())));
  }
  if (trial.pause_requested())
    Line(io, "Pause", trial.resume_requested() ? "and resume asked for" : "asked for");
  if (trial.cancel_requested() && !IsTerminal(trial.state())) Line(io, "Cancel", "asked for");
  Line(io, "Retry of", trial.retry_of());
  Line(io, "Created", WithAge(trial.create_time()));
  Line(io, "Started", WithAge(trial.start_time()));
  Line(io, "Ended", WithAge(trial.end_time()));
  Line(io, "Trained", trial.train_seconds() > 0 ? FormatDuration(trial.train_seconds()) : "");
  Line(io, "Model", ModelText(trial.spec()));
  Line(io, "Norms", LayerText(trial.spec().norm()));
  Line(io, "Training", TrainText(trial.spec()));
  Line(io, "Step", absl::StrCat(progress.step(), " of ", trial.spec().train().steps()));
  if (progress.tokens() > 0) Line(io, "Tokens", FormatCount(static_cast<double>(progress.tokens())));
  if (progress.loss() != 0) Line(io, "Loss", FormatLoss(progress.loss()));
  if (progress.perplexity() != 0) {
    std::string text = FormatPerplexity(progress.perplexity());
    if (progress.bits_per_byte() > 0)
      absl::StrAppend(&text, ", ", FormatLoss(progress.bits_per_byte()), " bits/byte");
    if (progress.unigram_perplexity() > 0) {
      absl::StrAppend(&text, " (word frequencies alone: ", FormatPerplexity(progress.unigram_perplexity()),
                      ")");
    }
    Line(io, "Perplexity", text);
  }
  if (!IsTerminal(trial.state()) && progress.tokens_per_second() > 0) {
    Line(io, "Speed", absl::StrCat(FormatCount(progress.tokens_per_second()), " tokens/s"));
  }
  PrintAttempts(io, trial);
  PrintCheckpoints(io, trial);
  std::vector<std::string> next;
  if (!trial.attempts().empty()) next.push_back(absl::StrCat("mixlnctl logs ", trial.id()));
  if (trial.state() == v1::TRIAL_STATE_PAUSED ||
      (trial.state() == v1::TRIAL_STATE_PRUNED && tried_again.empty()))
    next.push_back(absl::StrCat("mixlnctl resume ", trial.id()));
  if (failed && tried_again.empty()) next.push_back(absl::StrCat("mixlnctl retry ", trial.id()));
  if (!IsTerminal(trial.state())) next.push_back(absl::StrCat("mixlnctl cancel ", trial.id()));
  if (trial.state() == v1::TRIAL_STATE_PENDING) next.emplace_back("mixlnctl nodes");
  next.push_back(absl::StrCat("mixlnctl results ", trial.sweep_id()));
  Next(io, next);
}

struct DescribeOptions {
  std::string name;
  OutputFormat format = OutputFormat::kTable;
};

absl::StatusOr<int> Describe(Session& session, const DescribeOptions& options, bool is_sweep) {
  Io& io = session.io;
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  if (!is_sweep) {
    auto trial = FindTrial(**client, options.name);
    if (!trial.ok()) return trial.status();
    if (IsMessageFormat(options.format)) {
      if (auto status = PrintMessage(io, options.format, *trial); !status.ok()) return status;
      return kOk;
    }
    const auto tried_again = FindRetryOf(**client, *trial);
    if (!tried_again.ok()) return tried_again.status();
    DescribeTrial(io, *trial, *tried_again);
    return kOk;
  }
  auto sweep = FindSweep(**client, options.name);
  if (!sweep.ok()) return sweep.status();
  if (IsMessageFormat(options.format)) {
    if (auto status = PrintMessage(io, options.format, *sweep); !status.ok()) return status;
    return kOk;
  }
  auto trials = ListTrials(**client, sweep->id());
  if (!trials.ok()) return trials.status();
  DescribeSweep(io, *sweep, *trials);
  return kOk;
}

}  // namespace

void AddDescribeCommand(CLI::App& app, Session& session) {
  CLI::App* describe =
      app.add_subcommand("describe", "Everything about a sweep or trial: why it waits, how it failed")
          ->group("Look");
  describe->require_subcommand(1);
  auto options = std::make_shared<DescribeOptions>();
  for (const bool is_sweep : {true, false}) {
    CLI::App* command = describe->add_subcommand(
        is_sweep ? "sweep" : "trial", is_sweep ? "A sweep and its trials" : "A trial and its attempts");
    command->add_option("name", options->name, is_sweep ? "Its name or uid" : "Its name")
        ->type_name(is_sweep ? "SWEEP" : "TRIAL")
        ->required();
    AddOutputOption(command, &options->format, /*has_names=*/false);
    command->callback([&session, options, is_sweep] {
      session.action = [&session, options, is_sweep] { return Describe(session, *options, is_sweep); };
    });
  }
}

}  // namespace mixln::services::mixlnctl
