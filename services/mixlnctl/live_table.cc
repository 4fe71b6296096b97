#include "services/mixlnctl/live_table.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/progress_bar.h"
#include "services/mixlnctl/table.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

constexpr std::array kBarWidths{20, 14, 10};  // the first that leaves room for all columns
constexpr int kReasonWidth = 16;              // at least; reasons stand last and get what is left

int Widest(const std::vector<std::string>& lines) {
  int widest = 0;
  for (const std::string& line : lines) widest = std::max(widest, DisplayWidth(line));
  return widest;
}

double Fraction(const v1::TrialView& trial) {
  if (trial.steps() <= 0) return 0;
  return static_cast<double>(trial.step()) / static_cast<double>(trial.steps());
}

// Trials that a short terminal shows first have the lowest rank.
int DisplayRank(const v1::TrialView& trial) {
  const std::string state = ShortState(trial);
  if (state == "RUNNING" || state == "STOPPING") return 0;
  if (state == "STARTING") return 1;
  if (IsTerminalName(state)) return 2;
  return 3;
}

std::vector<const v1::TrialView*> Shown(const SweepView& view, size_t room) {
  std::vector<const v1::TrialView*> trials;
  for (const auto& [index, trial] : view.trials) trials.push_back(&trial);
  if (trials.size() <= room) return trials;
  std::stable_sort(trials.begin(), trials.end(),
                   [](const auto* a, const auto* b) { return DisplayRank(*a) < DisplayRank(*b); });
  trials.resize(room);
  std::sort(trials.begin(), trials.end(),
            [](const auto* a, const auto* b) { return a->index() < b->index(); });
  return trials;
}

std::vector<std::string> Row(const v1::TrialView& trial, const LiveOptions& options, int bar_width,
                             int reason_width) {
  const std::string state = ShortState(trial);
  const bool running = state == "RUNNING";
  std::string left = running && trial.eta_seconds() > 0 ? FormatDuration(trial.eta_seconds()) : "";
  if (left.empty()) left = Truncate(trial.reason(), reason_width, options.unicode);
  const std::string bar = ProgressBar(Fraction(trial), bar_width, options.unicode);
  return {trial.trial_id(),
          ParameterText(trial.parameters(), /*last_words=*/true),
          PaintState(state, options.style),
          running ? options.style.Green(bar) : bar,
          absl::StrCat(trial.step(), "/", trial.steps()),
          FormatLoss(trial.loss()),
          FormatPerplexity(trial.perplexity()),
          running && trial.tokens_per_second() > 0 ? FormatCount(trial.tokens_per_second()) : "-",
          left};
}

std::string OverallLine(const SweepView& view, const LiveOptions& options) {
  const double fraction = OverallFraction(view);
  const std::string bar = ProgressBar(fraction, std::clamp(options.width / 4, 10, 30), options.unicode);
  std::string line =
      absl::StrCat(bar, " ", static_cast<int>(fraction * 100), "%  ", CountsText(view.sweep.counts()), "  ",
                   FormatDuration(options.elapsed_seconds));
  if (const double eta = OverallEta(view); eta > 0)
    absl::StrAppend(&line, ", ", FormatDuration(eta), " left");
  return line;
}

}  // namespace

void Apply(SweepView& view, const v1::WatchSweepResponse& change) {
  if (change.has_sweep()) view.sweep = change.sweep();
  for (const v1::TrialView& trial : change.trials()) view.trials[trial.index()] = trial;
}

std::string ShortState(const v1::TrialView& trial) {
  constexpr char kPrefix[] = "TRIAL_STATE_";
  const std::string& state = trial.state();
  return state.rfind(kPrefix, 0) == 0 ? state.substr(sizeof(kPrefix) - 1) : state;
}

bool IsTerminalName(const std::string& state) {
  constexpr std::array kTerminal{"SUCCEEDED", "FAILED", "DIVERGED", "PRUNED", "CANCELLED"};
  return std::find(kTerminal.begin(), kTerminal.end(), state) != kTerminal.end();
}

double OverallFraction(const SweepView& view) {
  double done = 0;
  double all = 0;
  for (const auto& [index, trial] : view.trials) {
    all += static_cast<double>(trial.steps());
    done += static_cast<double>(IsTerminalName(ShortState(trial)) ? trial.steps() : trial.step());
  }
  return all > 0 ? done / all : 0;
}

double OverallEta(const SweepView& view) {
  double steps_left = 0;
  double steps_per_second = 0;
  double longest = 0;
  for (const auto& [index, trial] : view.trials) {
    if (IsTerminalName(ShortState(trial))) continue;
    const double left = static_cast<double>(trial.steps() - trial.step());
    steps_left += left;
    if (ShortState(trial) == "RUNNING" && trial.eta_seconds() > 0) {
      steps_per_second += left / trial.eta_seconds();
      longest = std::max(longest, trial.eta_seconds());
    }
  }
  return steps_per_second > 0 ? std::max(longest, steps_left / steps_per_second) : 0;
}

std::vector<std::string> LiveLines(const SweepView& view, const LiveOptions& options) {
  // Besides the trials: the header, the line for all, the line on those not shown, the note, and the cursor's
  // own.
  const size_t room = static_cast<size_t>(std::max(1, options.height - 5));
  const auto shown = Shown(view, room);
  const auto table = [&](int bar_width, int reason_width) {
    Table table({{"TRIAL"},
                 {"PARAMETERS", Align::kLeft, 3},
                 {"STATE"},
                 {"PROGRESS", Align::kLeft, 1},
                 {"STEP", Align::kRight, 4},
                 {"LOSS", Align::kRight, 5},
                 {"PERPLEXITY", Align::kRight},
                 {"TOKENS/S", Align::kRight, 6},
                 {"LEFT", Align::kLeft, 2}});
    for (const v1::TrialView* trial : shown) table.AddRow(Row(*trial, options, bar_width, reason_width));
    return table;
  };
  std::vector<std::string> lines;
  for (const int bar_width : kBarWidths) {
    lines = table(bar_width, kReasonWidth).Lines(options.style);
    const int left = options.width - Widest(lines);
    lines = table(bar_width, kReasonWidth + std::max(0, left)).Lines(options.style, options.width);
    if (left >= 0) break;
  }
  if (shown.size() < view.trials.size()) {
    lines.push_back(options.style.Dim(
        absl::StrCat(options.unicode ? "… " : "... ", view.trials.size() - shown.size(), " more not shown")));
  }
  lines.push_back(Truncate(OverallLine(view, options), options.width, options.unicode));
  if (!options.note.empty()) {
    lines.push_back(options.style.Yellow(Truncate(options.note, options.width, options.unicode)));
  }
  return lines;
}

std::optional<std::string> ChangeLine(const v1::TrialView* before, const v1::TrialView& after) {
  const std::string state = ShortState(after);
  if (before != nullptr) {
    const auto tenth = [](const v1::TrialView& trial) { return static_cast<int>(Fraction(trial) * 10); };
    const bool same = ShortState(*before) == state && before->reason() == after.reason() &&
                      before->perplexity() == after.perplexity() && tenth(*before) == tenth(after);
    if (same) return std::nullopt;
  }
  std::string line = absl::StrCat(after.trial_id(), "  ", state);
  if (after.step() > 0) absl::StrAppend(&line, "  step ", after.step(), "/", after.steps());
  if (after.loss() != 0) absl::StrAppend(&line, "  loss ", FormatLoss(after.loss()));
  if (after.perplexity() != 0) absl::StrAppend(&line, "  perplexity ", FormatPerplexity(after.perplexity()));
  if (state == "RUNNING") {
    if (after.tokens_per_second() > 0) {
      absl::StrAppend(&line, "  ", FormatCount(after.tokens_per_second()), " tokens/s");
    }
    if (after.eta_seconds() > 0) absl::StrAppend(&line, "  ", FormatDuration(after.eta_seconds()), " left");
  }
  if (!after.reason().empty()) absl::StrAppend(&line, "  (", after.reason(), ")");
  return line;
}

}  // namespace mixln::services::mixlnctl
