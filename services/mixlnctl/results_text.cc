#include "services/mixlnctl/results_text.h"

#include <algorithm>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/sweep/resolve.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/plot.h"
#include "services/mixlnctl/table.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

constexpr char kAlpha[] = "norm.alpha";

// Swept parameters other than alpha, which has a column of its own, in the order of the file.
std::vector<std::string> OtherParameters(const v1::Results& results) {
  std::vector<std::string> paths;
  for (const auto& row : results.rows()) {
    for (const auto& p : row.parameters()) {
      if (p.path() == kAlpha || std::find(paths.begin(), paths.end(), p.path()) != paths.end()) continue;
      paths.push_back(p.path());
    }
  }
  return paths;
}

std::string ValueOf(const v1::ResultRow& row, const std::string& path) {
  for (const auto& p : row.parameters()) {
    if (p.path() == path) return p.value();
  }
  return "-";
}

std::string RowState(const v1::ResultRow& row, const Style& style) {
  const v1::TrialCounts& counts = row.counts();
  const std::string text = CountsText(counts);
  if (counts.failed() > 0) return style.Red(text);
  if (counts.succeeded() == TotalTrials(counts)) return style.Green(text);
  return style.Yellow(text);
}

void PrintPlot(Io& io, const v1::Results& results) {
  std::vector<PlotPoint> points;
  for (const auto& row : results.rows()) {
    if (row.perplexity_mean() > 0) {
      points.push_back({row.alpha(), row.perplexity_mean(), row.perplexity_stddev(), row.best()});
    }
  }
  const auto lines = Plot(points, {.width = std::clamp(io.width - 14, 24, 60),
                                   .unicode = io.unicode,
                                   .x_name = "alpha, share of post-norm layers"});
  if (lines.empty()) return;
  io.out << "\n" << io.out_style.Dim("perplexity") << "\n";
  for (const std::string& line : lines) io.out << line << "\n";
}

}  // namespace

absl::Status PrintResults(Io& io, OutputFormat format, const v1::Results& results) {
  if (IsMessageFormat(format)) return PrintMessage(io, format, results);
  const bool wide = format == OutputFormat::kWide;
  const std::vector<std::string> others = OtherParameters(results);
  std::vector<Column> columns{{""}, {"ALPHA", Align::kRight}, {"POST LAYERS", Align::kRight, 3}};
  for (const std::string& path : others) columns.push_back({path});
  columns.insert(columns.end(), {{"PERPLEXITY", Align::kLeft},
                                 {"BITS/BYTE", Align::kRight, 4},
                                 {"TOKENS", Align::kRight, 2},
                                 {"TIME", Align::kRight, 1},
                                 {"STATE"}});
  if (wide) columns.insert(columns.end(), {{"PLACEMENT"}, {"LOSS", Align::kRight}, {"TRIALS"}});
  Table table(columns);
  const std::string plus_minus = io.unicode ? "±" : "+-";
  const std::string star = io.out_style.Yellow(io.unicode ? "★" : "*");
  for (const auto& row : results.rows()) {
    std::string spread = FormatSpread(row.perplexity_mean(), row.perplexity_stddev(), plus_minus);
    const bool has_alpha = coordinator::sweep::HasAlpha(row.placement());
    std::vector<std::string> cells{row.best() ? star : "", has_alpha ? absl::StrCat(row.alpha()) : "-",
                                   has_alpha ? absl::StrCat(row.post_layers()) : "-"};
    for (const std::string& path : others) cells.push_back(ValueOf(row, path));
    cells.insert(cells.end(),
                 {row.best() ? io.out_style.Bold(spread) : spread, FormatLoss(row.bits_per_byte_mean()),
                  row.tokens() > 0 ? FormatCount(static_cast<double>(row.tokens())) : "-",
                  row.train_seconds_mean() > 0 ? FormatDuration(row.train_seconds_mean()) : "-",
                  RowState(row, io.out_style)});
    if (wide) {
      cells.insert(cells.end(), {coordinator::sweep::PlacementName(row.placement()),
                                 FormatLoss(row.loss_mean()), absl::StrJoin(row.trial_ids(), ",")});
    }
    table.AddRow(std::move(cells));
  }
  io.out << table.Render(io.out_style, wide ? 0 : io.width);
  if (results.unigram_perplexity() > 0) {
    io.out << io.out_style.Dim(absl::StrCat("perplexity of word frequencies alone (unigram model): ",
                                            FormatPerplexity(results.unigram_perplexity())))
           << "\n";
  }
  if (io.out_is_terminal && others.empty()) PrintPlot(io, results);
  return absl::OkStatus();
}

absl::Status ShowResults(Io& io, Client& client, OutputFormat format, const std::string& sweep_id) {
  v1::GetResultsRequest request;
  request.set_sweep_id(sweep_id);
  auto results = client.CallUntilAnswered(client.sweeps(), &v1::SweepService::Stub::GetResults, request);
  if (!results.ok()) return results.status();
  return PrintResults(io, format, *results);
}

}  // namespace mixln::services::mixlnctl
