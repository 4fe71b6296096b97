// `compare`: sweeps and trials side by side.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/mixlnctl/candidates.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/output.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/table.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kSteps = 8;      // of the curves, in the table
constexpr int kWidestValue = 28;  // columns of one value in the table

struct CompareOptions {
  std::vector<std::string> names;
  OutputFormat format = OutputFormat::kTable;
};

struct Comparison {
  std::vector<Candidate> candidates;
  std::vector<std::string> differing;  // paths
  std::vector<MeanCurve> eval_losses;  // of each candidate, all of its steps
};

absl::StatusOr<Comparison> Gather(Client& client, const std::vector<std::string>& names) {
  Comparison comparison;
  auto candidates = FindCandidates(client, names);
  if (!candidates.ok()) return candidates.status();
  comparison.candidates = *std::move(candidates);
  if (comparison.candidates.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is nothing to compare ", names.front(),
                     " with: name a second sweep or trial, or a sweep of several cells"));
  }
  comparison.differing = DifferingPaths(comparison.candidates);
  for (const Candidate& candidate : comparison.candidates) {
    auto curve = ReadMeanCurve(client, candidate, "eval_loss", 0);
    if (!curve.ok()) return curve.status();
    comparison.eval_losses.push_back(*std::move(curve));
  }
  return comparison;
}

// The candidate of the lowest perplexity; the number of candidates when none has any.
size_t BestOf(const std::vector<Candidate>& candidates) {
  size_t best = candidates.size();
  for (size_t i = 0; i < candidates.size(); ++i) {
    const double perplexity = candidates[i].row.perplexity_mean();
    if (perplexity > 0 && (best == candidates.size() || perplexity < candidates[best].row.perplexity_mean()))
      best = i;
  }
  return best;
}

// "-1.27 (-3.8%)".
std::string ChangeText(double value, double first) {
  if (value == 0 || first == 0) return "-";
  return absl::StrFormat("%+.2f (%+.1f%%)", value - first, 100 * (value - first) / first);
}

void PrintTable(Io& io, const Comparison& comparison) {
  const auto& candidates = comparison.candidates;
  std::vector<Column> columns{{""}};
  for (const Candidate& candidate : candidates)
    columns.push_back({Truncate(candidate.name, kWidestValue, io.unicode), Align::kRight});
  Table table(columns);
  const auto add = [&](const std::string& name, const auto& text_of) {
    std::vector<std::string> cells{name};
    for (size_t i = 0; i < candidates.size(); ++i) cells.push_back(text_of(i));
    table.AddRow(std::move(cells));
  };
  const auto number = [&](const std::string& name, const auto& text_of) {
    add(name, [&](size_t i) -> std::string { return text_of(candidates[i].row); });
  };
  for (const std::string& path : comparison.differing) {
    add(path, [&](size_t i) {
      return Truncate(SettingAt(candidates[i].settings, path), kWidestValue, io.unicode);
    });
  }
  const size_t best = BestOf(candidates);
  const std::string star = io.unicode ? "★ " : "* ";
  const std::string plus_minus = io.unicode ? "±" : "+-";
  add("perplexity", [&](size_t i) {
    const v1::ResultRow& row = candidates[i].row;
    const std::string text = FormatSpread(row.perplexity_mean(), row.perplexity_stddev(), plus_minus);
    return i == best ? absl::StrCat(io.out_style.Yellow(star), io.out_style.Bold(text)) : text;
  });
  const double first = candidates.front().row.perplexity_mean();
  add("against the first",
      [&](size_t i) { return i == 0 ? "" : ChangeText(candidates[i].row.perplexity_mean(), first); });
  number("bits/byte", [](const auto& row) { return FormatLoss(row.bits_per_byte_mean()); });
  number("tokens", [](const auto& row) {
    return row.tokens() > 0 ? FormatCount(static_cast<double>(row.tokens())) : "-";
  });
  number("time", [](const auto& row) {
    return row.train_seconds_mean() > 0 ? FormatDuration(row.train_seconds_mean()) : "-";
  });
  number("trials", [](const auto& row) { return CountsText(row.counts()); });
  const std::vector<int64_t> steps = CommonSteps(comparison.eval_losses, kSteps);
  for (const int64_t step : steps) {
    add(absl::StrCat("loss at step ", step),
        [&](size_t i) { return FormatLoss(AtSteps(comparison.eval_losses[i], {step}).mean.front()); });
  }
  io.out << table.Render(io.out_style, io.width);
  if (comparison.differing.empty()) io.out << io.out_style.Dim("their settings are the same") << "\n";
  if (steps.empty()) io.out << io.out_style.Dim("there is no step at which all were evaluated") << "\n";
}

Json CandidateJson(const Candidate& candidate, const std::vector<std::string>& differing,
                   const MeanCurve& curve) {
  Json settings = Json::object();
  for (const std::string& path : differing) settings[path] = SettingAt(candidate.settings, path);
  const v1::ResultRow& row = candidate.row;
  return {{"name", candidate.name},
          {"trial_ids", std::vector<std::string>(row.trial_ids().begin(), row.trial_ids().end())},
          {"differing_settings", settings},
          {"perplexity_mean", row.perplexity_mean()},
          {"perplexity_stddev", row.perplexity_stddev()},
          {"loss_mean", row.loss_mean()},
          {"bits_per_byte_mean", row.bits_per_byte_mean()},
          {"tokens", row.tokens()},
          {"train_seconds_mean", row.train_seconds_mean()},
          {"eval_loss",
           {{"steps", curve.steps}, {"mean", curve.mean}, {"low", curve.low}, {"high", curve.high}}}};
}

void PrintJson(Io& io, OutputFormat format, const Comparison& comparison) {
  Json candidates = Json::array();
  for (size_t i = 0; i < comparison.candidates.size(); ++i) {
    candidates.push_back(
        CandidateJson(comparison.candidates[i], comparison.differing, comparison.eval_losses[i]));
  }
  const std::string json =
      Json{{"candidates", candidates}, {"common_steps", CommonSteps(comparison.eval_losses, SIZE_MAX)}}.dump(
          2);
  io.out << (format == OutputFormat::kYaml ? JsonToYaml(json) : json + "\n");
}

absl::StatusOr<int> Compare(Session& session, const CompareOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  auto comparison = Gather(**client, options.names);
  if (!comparison.ok()) return comparison.status();
  if (IsMessageFormat(options.format)) {
    PrintJson(session.io, options.format, *comparison);
  } else {
    PrintTable(session.io, *comparison);
  }
  return kOk;
}

}  // namespace

void AddCompareCommand(CLI::App& app, Session& session) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* compare =
      app.add_subcommand("compare",
                         "Show sweeps and trials side by side: settings that differ, results, curves")
          ->group("Look");
  compare->add_option("what", options->names, "Sweeps, each configuration a column, and trials")
      ->type_name("SWEEP|TRIAL")
      ->required();
  AddOutputOption(compare, &options->format, /*has_names=*/false);
  compare->callback(
      [&session, options] { session.action = [&session, options] { return Compare(session, *options); }; });
}

}  // namespace mixln::services::mixlnctl
