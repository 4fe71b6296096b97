#include "services/mixlnctl/report_page.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/version/version.h"
#include "coordinator/sweep/resolve.h"
#include "services/mixlnctl/chart.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

constexpr char kAlpha[] = "norm.alpha";
// The first 1/kLeftOut of the steps would take nearly all of a curve's height.
constexpr int64_t kLeftOut = 10;
constexpr char kPlusMinus[] = "±";

constexpr char kStyle[] = R"(
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2024;--soft:#60666e;--rule:#e3e6ea;--panel:#f6f7f9;--good:#1a7f4b;--star:#d99a00}
@media(prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e6e8eb;--soft:#9aa2ab;--rule:#2b3036;--panel:#1c2024;--good:#4cc38a;--star:#ffc53d}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:960px;margin:0 auto;padding:40px 20px 64px}
h1{font-size:30px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:19px;margin:44px 0 4px}
p{margin:6px 0}.soft,figcaption,footer{color:var(--soft);font-size:14px}
.answer{background:var(--panel);border-left:4px solid var(--good);border-radius:6px;padding:14px 18px;margin:22px 0}
.answer p:first-child{font-size:19px;line-height:1.4}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14.5px;white-space:nowrap}
th{font-weight:600;color:var(--soft);font-size:13px}
th,td{padding:7px 10px;text-align:right;border-bottom:1px solid var(--rule)}
th:first-child,td:first-child{text-align:left;padding-left:4px}
td.text,th.text{text-align:left}
tr.best td{font-weight:650}
.mark{color:var(--star)}
figure{margin:12px 0 0}
.chart{display:block;width:100%;height:auto}
.grid line{stroke:var(--rule)}.tick text{fill:var(--soft);font-size:12px}.name text{fill:var(--ink);font-size:13px}
.line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}
.band{fill:currentColor;opacity:.14}.bar{stroke:currentColor;stroke-width:1.5;fill:none}
.dot{fill:currentColor;stroke:var(--paper);stroke-width:1.5}.star{fill:var(--star);stroke:var(--paper);stroke-width:1}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;margin:8px 0 0;padding:0;font-size:14px}
.legend i{display:inline-block;width:18px;height:3px;border-radius:2px;background:currentColor;margin-right:7px;vertical-align:middle}
.legend span{color:var(--ink)}
.c0{color:#3577d4}.c1{color:#d9760f}.c2{color:#209a6c}.c3{color:#c2488f}.c4{color:#7e6bd6}.c5{color:#a58500}.c6{color:#2f9db3}.c7{color:#b0573a}
pre{background:var(--panel);border-radius:6px;padding:14px 18px;overflow-x:auto;font-size:13px;line-height:1.5}
summary{cursor:pointer}footer{margin-top:48px;border-top:1px solid var(--rule);padding-top:12px}
@media(max-width:600px){main{padding:24px 14px 48px}h1{font-size:25px}.tick text{font-size:19px}.name text{font-size:20px}.line{stroke-width:3}.dot{r:7px}}
@media print{body{font-size:12px}main{max-width:none}}
)";

bool HasAlpha(const v1::ResultRow& row) {
  return coordinator::sweep::HasAlpha(row.placement());
}

int Seeds(const v1::ResultRow& row) {
  return row.counts().succeeded();
}

// "alpha = 0.25 (3 post-norm layers)", or the parameters.
std::string InWords(const v1::ResultRow& row) {
  std::string text;
  for (const auto& p : row.parameters()) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", p.path().substr(p.path().rfind('.') + 1), " = ",
                    p.value());
    if (p.path() == kAlpha && HasAlpha(row))
      absl::StrAppend(&text, " (", Plural(row.post_layers(), "post-norm layer"), ")");
  }
  return text.empty() ? "the only configuration" : text;
}

// The parameters other than alpha.
std::string OtherParameters(const v1::ResultRow& row) {
  google::protobuf::RepeatedPtrField<v1::CellParameter> others;
  for (const auto& p : row.parameters()) {
    if (p.path() != kAlpha) *others.Add() = p;
  }
  return others.empty() ? "" : ParameterText(others, true);
}

std::string FindNext(const v1::ResultRow& best, const v1::ResultRow& next) {
  const double distance = next.perplexity_mean() - best.perplexity_mean();
  std::string text = absl::StrFormat("The next is %s, %.2f above it (%.1f%%).", InWords(next), distance,
                                     100 * distance / best.perplexity_mean());
  if (Seeds(best) < 2 || Seeds(next) < 2) {
    return text + " One seed says nothing of how much seeds alone change: run more before you believe it.";
  }
  // Standard error of the difference of two means (Welch 1947).
  const double error = std::sqrt(best.perplexity_stddev() * best.perplexity_stddev() / Seeds(best) +
                                 next.perplexity_stddev() * next.perplexity_stddev() / Seeds(next));
  if (distance > 2 * error)
    return text +
           absl::StrFormat(" That is more than seeds alone do: two standard errors are %.2f.", 2 * error);
  return text +
         absl::StrFormat(" That is within what seeds alone do: two standard errors are %.2f.", 2 * error);
}

std::string Legend(const std::vector<ChartSeries>& series) {
  if (series.size() < 2) return "";
  std::string html = "<ul class=\"legend\">";
  for (size_t i = 0; i < series.size(); ++i) {
    if (series[i].points.empty()) continue;
    absl::StrAppend(&html, "<li class=\"c", i % kChartColours, "\"><i></i><span>", EscapeHtml(series[i].name),
                    "</span></li>");
  }
  return html + "</ul>";
}

// A section with a chart; empty when there is nothing to draw.
std::string Section(const std::string& id, const std::string& caption, const std::vector<ChartSeries>& series,
                    const ChartOptions& options) {
  const std::string chart = Chart(series, options);
  if (chart.empty()) return "";
  return absl::StrCat("<section id=\"", id, "\"><h2>", EscapeHtml(options.title), "</h2><figure><figcaption>",
                      EscapeHtml(caption), "</figcaption>", Legend(series), "<div class=\"wide\">", chart,
                      "</div></figure></section>\n");
}

std::string AlphaSection(const v1::Results& results) {
  std::map<std::string, size_t> place;
  std::vector<ChartSeries> series;
  size_t points = 0;
  for (const v1::ResultRow& row : results.rows()) {
    if (!HasAlpha(row) || row.perplexity_mean() <= 0) continue;
    const std::string others = OtherParameters(row);
    const auto [found, added] = place.emplace(others, series.size());
    if (added) series.push_back({others, {}});
    series[found->second].points.push_back({.x = row.alpha(),
                                            .y = row.perplexity_mean(),
                                            .low = row.perplexity_mean() - row.perplexity_stddev(),
                                            .high = row.perplexity_mean() + row.perplexity_stddev(),
                                            .marked = row.best()});
    points = std::max(points, series[found->second].points.size());
  }
  if (points < 2) return "";
  for (ChartSeries& one : series) {
    std::sort(one.points.begin(), one.points.end(), [](const auto& a, const auto& b) { return a.x < b.x; });
  }
  return Section(
      "alpha",
      "Validation perplexity at the end of training: mean over seeds, and one standard deviation either way. "
      "Lower is better; the star is the best.",
      series,
      {.title = "Perplexity over alpha",
       .x_name = "alpha, share of post-norm layers",
       .y_name = "perplexity",
       .points = true});
}

std::string CurveSection(const Report& report, const std::string& id, MeanCurve ReportCurves::*which,
                         const std::string& title, const std::string& caption) {
  std::vector<ChartSeries> series;
  for (size_t i = 0; i < report.curves.size(); ++i) {
    const MeanCurve& curve = report.curves[i].*which;
    const int64_t last = curve.steps.empty() ? 0 : curve.steps.back();
    ChartSeries& one = series.emplace_back(ChartSeries{report.candidates[i].name, {}});
    for (size_t k = 0; k < curve.steps.size(); ++k) {
      if (kLeftOut * curve.steps[k] < last) continue;
      one.points.push_back({.x = static_cast<double>(curve.steps[k]),
                            .y = curve.mean[k],
                            .low = curve.low[k],
                            .high = curve.high[k]});
    }
  }
  return Section(id, caption, series,
                 {.title = title, .x_name = "step", .y_name = "loss, nats a token", .whole_x = true});
}

std::string GradientSection(const Report& report) {
  std::vector<ChartSeries> series;
  for (size_t i = 0; i < report.curves.size(); ++i) {
    const auto& norms = report.curves[i].layer_gradient_norms;
    ChartSeries& one = series.emplace_back(ChartSeries{report.candidates[i].name, {}});
    for (size_t layer = 0; layer < norms.size(); ++layer) {
      one.points.push_back({.x = static_cast<double>(layer + 1),
                            .y = norms[layer],
                            .low = norms[layer],
                            .high = norms[layer]});
    }
  }
  return Section("gradients",
                 "Mean over the second half of training and over seeds. Where the curve is flat, deep and "
                 "shallow layers learn alike.",
                 series,
                 {.title = "Gradient norm of each layer",
                  .x_name = "layer",
                  .y_name = "gradient norm",
                  .points = true,
                  .whole_x = true});
}

std::string Cell(const std::string& text, const char* kind = "") {
  return absl::StrCat("<td", *kind == 0 ? "" : absl::StrCat(" class=\"", kind, "\""), ">", EscapeHtml(text),
                      "</td>");
}

std::string TableSection(const v1::Results& results) {
  std::vector<std::string> paths;
  for (const v1::ResultRow& row : results.rows()) {
    for (const auto& p : row.parameters()) {
      if (std::find(paths.begin(), paths.end(), p.path()) == paths.end()) paths.push_back(p.path());
    }
  }
  const bool any_alpha = std::any_of(results.rows().begin(), results.rows().end(), HasAlpha);
  const double best = results.rows().empty() ? 0 : results.rows(0).perplexity_mean();
  std::string html =
      "<section id=\"results\"><h2>Results</h2><div class=\"wide\"><table><thead><tr><th></th>";
  for (const std::string& path : paths) absl::StrAppend(&html, "<th>", EscapeHtml(path), "</th>");
  if (any_alpha) absl::StrAppend(&html, "<th>post layers</th>");
  absl::StrAppend(&html,
                  "<th>perplexity</th><th>above the best</th><th>bits/byte</th><th>tokens</th><th>time</th>",
                  "<th class=\"text\">trials</th></tr></thead><tbody>\n");
  for (const v1::ResultRow& row : results.rows()) {
    const double mean = row.perplexity_mean();
    absl::StrAppend(&html, row.best() ? "<tr class=\"best\"><td class=\"mark\">★</td>" : "<tr><td></td>");
    for (const std::string& path : paths) {
      const auto p = std::find_if(row.parameters().begin(), row.parameters().end(),
                                  [&](const auto& one) { return one.path() == path; });
      absl::StrAppend(&html, Cell(p == row.parameters().end() ? "-" : p->value()));
    }
    if (any_alpha) absl::StrAppend(&html, Cell(HasAlpha(row) ? absl::StrCat(row.post_layers()) : "-"));
    absl::StrAppend(&html, Cell(FormatSpread(mean, row.perplexity_stddev(), kPlusMinus)),
                    Cell(mean > 0 && best > 0 && mean != best ? absl::StrFormat("%+.2f", mean - best) : "-"),
                    Cell(FormatLoss(row.bits_per_byte_mean())),
                    Cell(row.tokens() > 0 ? FormatCount(static_cast<double>(row.tokens())) : "-"),
                    Cell(row.train_seconds_mean() > 0 ? FormatDuration(row.train_seconds_mean()) : "-"),
                    Cell(CountsText(row.counts()), "text"), "</tr>\n");
  }
  absl::StrAppend(&html, "</tbody></table></div>");
  if (results.unigram_perplexity() > 0) {
    absl::StrAppend(&html,
                    "<p class=\"soft\">Word frequencies alone (the unigram model) reach a perplexity of ",
                    FormatPerplexity(results.unigram_perplexity()), " on the same text.</p>");
  }
  return html + "</section>\n";
}

}  // namespace

std::vector<std::string> Findings(const v1::Results& results) {
  std::vector<std::string> findings;
  int unfinished = 0;
  for (const v1::ResultRow& row : results.rows()) unfinished += UnfinishedTrials(row.counts());
  if (results.rows().empty() || !results.rows(0).best()) {
    findings.push_back("No configuration has a result yet.");
  } else {
    const v1::ResultRow& best = results.rows(0);
    findings.push_back(
        absl::StrCat("Best: ", InWords(best), ", perplexity ",
                     FormatSpread(best.perplexity_mean(), best.perplexity_stddev(), kPlusMinus), " over ",
                     Plural(Seeds(best), "seed"), "."));
    if (results.rows_size() > 1 && results.rows(1).perplexity_mean() > 0)
      findings.push_back(FindNext(best, results.rows(1)));
  }
  int diverged = 0;
  for (const v1::ResultRow& row : results.rows()) diverged += row.counts().diverged();
  if (diverged > 0) {
    findings.push_back(
        absl::StrCat(Plural(diverged, "trial"),
                     " diverged, which is a result too: the rows are below those that did not."));
  }
  if (unfinished > 0)
    findings.push_back(
        absl::StrCat(Plural(unfinished, "trial"), " did not end yet, so all of this may change."));
  return findings;
}

std::string ReportPage(const Report& report) {
  const v1::Sweep& sweep = report.sweep;
  std::string html = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>",
      EscapeHtml(sweep.id()), ": results</title><style>", kStyle, "</style></head><body><main>\n<header><h1>",
      EscapeHtml(sweep.id()), "</h1><p class=\"soft\">", Plural(report.results.rows_size(), "configuration"),
      ", ", Plural(TotalTrials(sweep.counts()), "trial"), ": ", EscapeHtml(CountsText(sweep.counts())),
      ". Submitted ", TimeText(sweep.create_time()), ".</p></header>\n<div class=\"answer\">");
  for (const std::string& finding : Findings(report.results))
    absl::StrAppend(&html, "<p>", EscapeHtml(finding), "</p>");
  absl::StrAppend(&html, "</div>\n", TableSection(report.results), AlphaSection(report.results));
  const std::string of = report.curves.size() < report.candidates.size()
                             ? absl::StrCat(" The best ", report.curves.size(), " of ",
                                            report.candidates.size(), " configurations.")
                             : "";
  absl::StrAppend(
      &html,
      CurveSection(
          report, "evaluation", &ReportCurves::eval_loss, "Validation loss",
          absl::StrCat("Mean over seeds, from a tenth of training on; the band spans the seeds.", of)),
      CurveSection(
          report, "training", &ReportCurves::loss, "Training loss",
          absl::StrCat(
              "Loss of single steps, mean over seeds, from a tenth of training on; the band spans the seeds.",
              of)),
      GradientSection(report));
  if (!sweep.source_text().empty()) {
    absl::StrAppend(
        &html, "<section id=\"file\"><h2>Sweep file</h2><details><summary>as it was submitted</summary><pre>",
        EscapeHtml(sweep.source_text()), "</pre></details></section>\n");
  }
  return absl::StrCat(html, "<footer>mixlnctl ", std::string(base::version::kVersion), ", ",
                      EscapeHtml(report.made), "; sweep ", EscapeHtml(sweep.uid()),
                      "</footer></main></body></html>\n");
}

}  // namespace mixln::services::mixlnctl
