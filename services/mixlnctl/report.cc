// `report`: a sweep's answer as one page that can be kept and sent.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <ostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/file/durable.h"
#include "services/mixlnctl/candidates.h"
#include "services/mixlnctl/chart.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/report_page.h"
#include "services/mixlnctl/session.h"

namespace mixln::services::mixlnctl {
namespace {

constexpr int kCurvePoints = 240;  // what a screen shows of a curve
constexpr int kLayerPoints = 64;

struct ReportOptions {
  std::string sweep;
  std::string to;  // empty: SWEEP.html
};

// Mean of each layer's gradient norm over the second half of what was recorded; empty when a layer has
// nothing.
absl::StatusOr<std::vector<double>> LayerGradientNorms(Client& client, const Candidate& candidate) {
  int layers = 0;
  if (!absl::SimpleAtoi(SettingAt(candidate.settings, "model.layers"), &layers)) return std::vector<double>();
  std::vector<double> norms;
  for (int layer = 1; layer <= layers; ++layer) {
    auto curve = ReadMeanCurve(client, candidate, absl::StrCat("layer_gradient_norm/", layer), kLayerPoints);
    if (!curve.ok()) return curve.status();
    if (curve->mean.empty()) return std::vector<double>();
    const size_t from = curve->mean.size() / 2;
    double sum = 0;
    for (size_t i = from; i < curve->mean.size(); ++i) sum += curve->mean[i];
    norms.push_back(sum / static_cast<double>(curve->mean.size() - from));
  }
  return norms;
}

absl::StatusOr<ReportCurves> ReadCurves(Client& client, const Candidate& candidate) {
  auto eval_loss = ReadMeanCurve(client, candidate, "eval_loss", kCurvePoints);
  if (!eval_loss.ok()) return eval_loss.status();
  auto loss = ReadMeanCurve(client, candidate, "loss", kCurvePoints);
  if (!loss.ok()) return loss.status();
  auto norms = LayerGradientNorms(client, candidate);
  if (!norms.ok()) return norms.status();
  return ReportCurves{*std::move(eval_loss), *std::move(loss), *std::move(norms)};
}

absl::StatusOr<Report> Gather(Client& client, const std::string& name) {
  Report report;
  auto sweep = FindSweep(client, name);
  if (!sweep.ok()) return sweep.status();
  report.sweep = *std::move(sweep);
  auto candidates = FindCandidates(client, {report.sweep.id()});
  if (!candidates.ok()) return candidates.status();
  report.candidates = *std::move(candidates);
  v1::GetResultsRequest request;
  request.set_sweep_id(report.sweep.id());
  auto results = client.CallUntilAnswered(client.sweeps(), &v1::SweepService::Stub::GetResults, request);
  if (!results.ok()) return results.status();
  report.results = *std::move(results);
  for (size_t i = 0; i < std::min(report.candidates.size(), kChartColours); ++i) {
    auto curves = ReadCurves(client, report.candidates[i]);
    if (!curves.ok()) return curves.status();
    report.curves.push_back(*std::move(curves));
  }
  report.made = absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::Now(), absl::UTCTimeZone());
  return report;
}

absl::StatusOr<int> MakeReport(Session& session, const ReportOptions& options) {
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  auto report = Gather(**client, options.sweep);
  if (!report.ok()) return report.status();
  const std::string page = ReportPage(*report);
  if (options.to == "-") {
    session.io.out << page;
    return kOk;
  }
  const std::string path = options.to.empty() ? absl::StrCat(report->sweep.id(), ".html") : options.to;
  if (auto written = base::WriteFileDurably(path, page); !written.ok()) return written;
  session.io.err << "wrote " << path << ": open it in a browser\n";
  return kOk;
}

}  // namespace

void AddReportCommand(CLI::App& app, Session& session) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* command =
      app.add_subcommand("report", "Write a sweep's results, plots and curves as one page of HTML")
          ->group("Look");
  command->add_option("sweep", options->sweep, "The sweep")->type_name("SWEEP")->required();
  command->add_option("--to", options->to, "The file to write; -: standard output (default: SWEEP.html)")
      ->type_name("FILE");
  command->callback([&session, options] {
    session.action = [&session, options] { return MakeReport(session, *options); };
  });
}

}  // namespace mixln::services::mixlnctl
