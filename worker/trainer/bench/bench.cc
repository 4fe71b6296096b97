#include "worker/trainer/bench/bench.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <optional>

#include "worker/trainer/diagnostics/activation_variance.h"
#include "worker/trainer/diagnostics/flops.h"
#include "worker/trainer/events/event_log.h"

namespace mixln::worker::trainer::bench {
namespace {

constexpr int kWarmUp = 3;
constexpr double kLearningRate = 1e-4;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// An engine with this rank's rows.
class Bench {
 public:
  Bench(const Work& work, fsdp::Collectives* ranks) : work_(work), started_(Now()) {
    if (work.threads > 0) at::set_num_threads(work.threads);
    engine_ = std::make_unique<engine::Engine>(work.engine, ranks, *work.device);
    const int64_t world_size = ranks == nullptr ? 1 : ranks->world_size();
    const int64_t rank = ranks == nullptr ? 0 : ranks->rank();
    const int64_t own = work.rows * (rank + 1) / world_size - work.rows * rank / world_size;
    tokens_ = at::randint(work.engine.vocab_size, {std::max<int64_t>(own, 1), work.time + 1}, at::kLong);
    if (own == 0) mask_ = at::zeros({1, work.time}, at::kByte);
    if (rank == 0 && !work.events.empty()) events_.emplace(work.events);
    engine_->InitializeFromBatch({tokens_});
    built_seconds_ = Now() - started_;
  }

  void FirstStep() {
    Step();
    first_step_seconds_ = Now() - started_;
  }

  double Step() {
    const double before = Now();
    ++step_;
    const bool measure = work_.measure_every > 0 && step_ % work_.measure_every == 0;
    const auto targets = static_cast<double>(work_.rows * work_.time);
    diagnostics::ActivationVariance variance;
    const double loss = engine_->ForwardBackward(tokens_, mask_, targets, measure ? &variance : nullptr);
    const engine::UpdateReport report = engine_->Update(kLearningRate, measure);
    work_.device->synchronize();
    if (events_) {
      events_->Append(Now(), step_,
                      events::StepDone{.loss = loss / targets,
                                       .lr = kLearningRate,
                                       .gradient_norm = report.gradient_norm,
                                       .layer_gradient_norms = report.layer_gradient_norms,
                                       .layer_activation_variances = variance.Mean(),
                                       .layer_update_ratios = report.layer_update_ratios});
    }
    return Now() - before;
  }

  double built_seconds() const { return built_seconds_; }
  double first_step_seconds() const { return first_step_seconds_; }
  int64_t parameters() const { return engine_->parameters(); }

 private:
  const Work& work_;
  double started_;
  double built_seconds_ = 0;
  double first_step_seconds_ = 0;
  std::unique_ptr<engine::Engine> engine_;
  at::Tensor tokens_;
  at::Tensor mask_;
  std::optional<events::EventLog> events_;
  int64_t step_ = 0;
};

}  // namespace

Report Measure(const Work& work, int steps, fsdp::Collectives* ranks) {
  Bench bench(work, ranks);
  bench.FirstStep();
  for (int i = 0; i < kWarmUp; ++i) bench.Step();
  Report report;
  std::vector<double> seconds;
  {
    diagnostics::PhaseClock clock;
    for (int i = 0; i < steps; ++i) seconds.push_back(bench.Step());
    report.phase_seconds = clock.Take();
  }
  for (double& phase : report.phase_seconds) phase /= steps;
  std::sort(seconds.begin(), seconds.end());
  report.step_seconds = seconds[seconds.size() / 2];
  report.fastest_seconds = seconds.front();
  report.slowest_seconds = seconds.back();
  report.tokens_per_second = static_cast<double>(work.rows * work.time) / report.step_seconds;
  report.built_seconds = bench.built_seconds();
  report.first_step_seconds = bench.first_step_seconds();
  report.parameters = bench.parameters();
  report.peak_bytes = work.device->peak_bytes();
  const engine::EngineOptions& model = work.engine;
  const int64_t table = model.tie_embeddings ? 0 : model.vocab_size * model.hidden_size;
  report.model_flops_utilization =
      report.tokens_per_second *
      diagnostics::FlopsPerToken({report.parameters - table, model.layers, model.hidden_size, work.time}) /
      (diagnostics::MeasurePeakFlops(*work.device, model.bf16) *
       (ranks == nullptr ? 1 : ranks->world_size()));
  return report;
}

void Print(const Work& work, const Report& report, std::ostream& out) {
  const auto line = [&](std::string_view name) -> std::ostream& {
    return out << std::left << std::setw(26) << name << std::right << std::fixed;
  };
  line("parameters") << std::setprecision(1) << static_cast<double>(report.parameters) * 1e-6 << " M\n";
  line("device") << work.device->model << '\n';
  line("a step") << work.rows << " x " << work.time << " tokens, " << (work.engine.bf16 ? "bf16" : "fp32")
                 << ", " << at::get_num_threads()
                 << (at::get_num_threads() == 1 ? " thread\n" : " threads\n");
  line("tokens per second") << std::setprecision(0) << report.tokens_per_second << '\n';
  line("a step takes") << std::setprecision(1) << 1e3 * report.step_seconds << " ms ("
                       << 1e3 * report.fastest_seconds << " to " << 1e3 * report.slowest_seconds << ")\n";
  line("model FLOPs utilization") << std::setprecision(3) << report.model_flops_utilization << '\n';
  line("peak memory") << std::setprecision(0) << static_cast<double>(report.peak_bytes) * 1e-6 << " MB\n";
  line("start to first step") << std::setprecision(2) << report.built_seconds << " s to its beginning, "
                              << report.first_step_seconds << " s to its end\n";
  out << "\nwhere a step's time goes\n";
  for (size_t i = 0; i < report.phase_seconds.size(); ++i) {
    if (report.phase_seconds[i] == 0) continue;
    line(std::string("  ") + std::string(diagnostics::kPhaseNames[i]))
        << std::setw(8) << std::setprecision(1) << 1e3 * report.phase_seconds[i] << " ms\n";
  }
}

void PrintJson(const Work& work, const Report& report, std::ostream& out) {
  nlohmann::json phases;
  for (size_t i = 0; i < report.phase_seconds.size(); ++i)
    phases[std::string(diagnostics::kPhaseNames[i])] = report.phase_seconds[i];
  out << nlohmann::json{{"device", work.device->model},
                        {"parameters", report.parameters},
                        {"rows", work.rows},
                        {"time", work.time},
                        {"bf16", work.engine.bf16},
                        {"threads", at::get_num_threads()},
                        {"tokens_per_second", report.tokens_per_second},
                        {"step_seconds", report.step_seconds},
                        {"fastest_seconds", report.fastest_seconds},
                        {"slowest_seconds", report.slowest_seconds},
                        {"built_seconds", report.built_seconds},
                        {"first_step_seconds", report.first_step_seconds},
                        {"model_flops_utilization", report.model_flops_utilization},
                        {"peak_bytes", report.peak_bytes},
                        {"phase_seconds", phases}}
             .dump()
      << std::endl;
}

void Serve(const Work& work, fsdp::Collectives* ranks, std::istream& in, std::ostream& out) {
  Bench bench(work, ranks);
  out << "built" << std::endl;
  bench.FirstStep();
  out << "ready" << std::endl;
  for (int steps = 0; in >> steps;) {
    const double before = Now();
    for (int i = 0; i < steps; ++i) bench.Step();
    out << Now() - before << std::endl;
  }
  out << nlohmann::json{{"peak_bytes", work.device->peak_bytes()}}.dump() << std::endl;
  // A rank's memory is shared until all have counted it.
  if (ranks != nullptr) ranks->Barrier();
}

}  // namespace mixln::worker::trainer::bench
