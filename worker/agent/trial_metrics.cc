#include "worker/agent/trial_metrics.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/version/version.h"

namespace mixln::worker::agent {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

MetricFamily Family(std::string name, std::string help, MetricType type = MetricType::Gauge) {
  MetricFamily family;
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = type;
  return family;
}

void Sample(MetricFamily& family, Labels labels, double value) {
  ClientMetric& metric = family.metric.emplace_back();
  metric.label = std::move(labels);
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
}

void SampleLayers(MetricFamily& family, const Labels& labels, const std::vector<double>& values) {
  for (size_t layer = 0; layer < values.size(); ++layer) {
    Labels with_layer = labels;
    with_layer.push_back({"layer", absl::StrCat(layer)});
    Sample(family, std::move(with_layer), values[layer]);
  }
}

}  // namespace

void TrialMetrics::Add(const session::AttemptKey& key, const v1::TrialLabels& labels) {
  const std::lock_guard lock(mutex_);
  // An older attempt at the same trial would export series with the same labels.
  std::erase_if(series_,
                [&](const auto& entry) { return entry.first.trial_id == key.trial_id && entry.first < key; });
  series_[key].labels = labels;
}

void TrialMetrics::Record(const session::AttemptKey& key, const v1::RankEvent& event) {
  const std::lock_guard lock(mutex_);
  const auto it = series_.find(key);
  if (it == series_.end()) return;
  it->second.step = event.step();
  if (event.has_started()) {
    it->second.flops_per_token = event.started().flops_per_token();
    it->second.peak_flops = event.started().peak_flops();
  }
  if (event.has_step_done()) {
    it->second.last_step = event.step_done();
    const auto& norms = event.step_done().layer_gradient_norms();
    if (!norms.empty()) it->second.layer_gradient_norms.assign(norms.begin(), norms.end());
    const auto& variances = event.step_done().layer_activation_variances();
    if (!variances.empty()) it->second.layer_activation_variances.assign(variances.begin(), variances.end());
    const auto& ratios = event.step_done().layer_update_ratios();
    if (!ratios.empty()) it->second.layer_update_ratios.assign(ratios.begin(), ratios.end());
  }
  if (event.has_eval_done()) it->second.last_eval = event.eval_done();
}

void TrialMetrics::End(const session::AttemptKey& key, base::Time now) {
  const std::lock_guard lock(mutex_);
  const auto it = series_.find(key);
  if (it != series_.end() && !it->second.ended) it->second.ended = now;
}

void TrialMetrics::Drop(const session::AttemptKey& key) {
  const std::lock_guard lock(mutex_);
  series_.erase(key);
}

void TrialMetrics::Show(bool visible) {
  const std::lock_guard lock(mutex_);
  visible_ = visible;
}

void TrialMetrics::Tick(base::Time now) {
  const std::lock_guard lock(mutex_);
  std::erase_if(series_, [&](const auto& entry) {
    return entry.second.ended && now >= *entry.second.ended + keep_after_end_;
  });
}

void TrialMetrics::SetWorker(int busy_slots, int free_slots, bool connected) {
  const std::lock_guard lock(mutex_);
  busy_slots_ = busy_slots;
  free_slots_ = free_slots;
  connected_ = connected;
}

std::vector<MetricFamily> TrialMetrics::Collect() const {
  const std::lock_guard lock(mutex_);
  MetricFamily loss = Family("mixln_loss", "Training loss of the last step, in nats a token.");
  MetricFamily eval_loss = Family("mixln_eval_loss", "Loss of the last evaluation, in nats a token.");
  MetricFamily perplexity = Family("mixln_perplexity", "Perplexity of the last evaluation.");
  MetricFamily learning_rate = Family("mixln_learning_rate", "Learning rate of the last step.");
  MetricFamily gradient_norm =
      Family("mixln_gradient_norm", "Global L2 gradient norm of the last step, before clipping.");
  MetricFamily layer_norms =
      Family("mixln_layer_gradient_norm",
             "L2 gradient norm over each layer's parameters before clipping, first layer 0, at the last "
             "step that measured it.");
  MetricFamily layer_variances =
      Family("mixln_layer_activation_variance",
             "Variance of each layer's output over its channels, averaged over the "
             "tokens that count, first layer 0, at the last step that measured it.");
  MetricFamily layer_ratios = Family("mixln_layer_update_ratio",
                                     "L2 norm of the update of each layer's parameters over that of the "
                                     "parameters, first layer 0, at the last step that measured it.");
  MetricFamily utilization =
      Family("mixln_model_flops_utilization",
             "Model FLOPs of the last step over what a large matrix product reaches here.");
  MetricFamily speed = Family("mixln_tokens_per_second", "Tokens a second of the last step.");
  MetricFamily step = Family("mixln_step", "Optimizer updates done.");
  MetricFamily attempt = Family(
      "mixln_attempt", "Number of the attempt that these series come from; it grows with each restart.");
  MetricFamily tokens =
      Family("mixln_tokens_total", "Tokens trained on since step 0, padding left out.", MetricType::Counter);
  if (visible_) {
    for (const auto& [key, series] : series_) {
      const Labels labels{{"sweep", series.labels.sweep()},
                          {"trial", series.labels.trial()},
                          {"placement", series.labels.placement()},
                          {"alpha", series.labels.alpha()},
                          {"seed", series.labels.seed()}};
      Sample(attempt, labels, static_cast<double>(key.epoch));
      if (series.step) Sample(step, labels, static_cast<double>(*series.step));
      if (series.last_step) {
        Sample(loss, labels, series.last_step->loss());
        Sample(learning_rate, labels, series.last_step->lr());
        Sample(gradient_norm, labels, series.last_step->gradient_norm());
        Sample(speed, labels, series.last_step->tokens_per_second());
        if (series.peak_flops > 0)
          Sample(utilization, labels,
                 series.last_step->tokens_per_second() * series.flops_per_token / series.peak_flops);
        Sample(tokens, labels, static_cast<double>(series.last_step->tokens()));
      }
      if (series.last_eval) {
        Sample(eval_loss, labels, series.last_eval->loss());
        Sample(perplexity, labels, series.last_eval->perplexity());
      }
      SampleLayers(layer_norms, labels, series.layer_gradient_norms);
      SampleLayers(layer_variances, labels, series.layer_activation_variances);
      SampleLayers(layer_ratios, labels, series.layer_update_ratios);
    }
  }
  MetricFamily slots = Family("mixln_worker_slots", "Slots of this worker, by state: busy or free.");
  Sample(slots, {{"state", "busy"}}, busy_slots_);
  Sample(slots, {{"state", "free"}}, free_slots_);
  MetricFamily connected =
      Family("mixln_worker_connected", "1 while the coordinator has welcomed this worker, else 0.");
  Sample(connected, {}, connected_ ? 1 : 0);
  MetricFamily build = Family("mixln_build_info", "1; the label says which release runs.");
  Sample(build, {{"version", std::string(base::version::kVersion)}}, 1);

  std::vector<MetricFamily> families;
  for (MetricFamily* family :
       {&loss, &eval_loss, &perplexity, &learning_rate, &gradient_norm, &layer_norms, &layer_variances,
        &layer_ratios, &utilization, &speed, &step, &attempt, &tokens, &slots, &connected, &build})
    if (!family->metric.empty()) families.push_back(std::move(*family));
  return families;
}

}  // namespace mixln::worker::agent
