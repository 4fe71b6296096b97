// The Prometheus series of the trials whose rank 0 is here. They say what the rank recorded last; they stay
// for a while after its end (five minutes unless it is said otherwise), so that the last values are scraped,
// and are hidden while the worker cannot know that its attempts are still the live ones (docs/architecture.md
// §5, §10).
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/time/time.h"
#include "mixln/v1/rank.pb.h"
#include "mixln/v1/session.pb.h"
#include "worker/session/attempt.h"

namespace mixln::worker::agent {

// Thread-safe: the exposer collects on threads of its own.
class TrialMetrics : public prometheus::Collectable {
 public:
  // `keep_after_end`: how long series outlive their rank.
  explicit TrialMetrics(base::Duration keep_after_end) : keep_after_end_(keep_after_end) {}

  void Add(const session::AttemptKey& key, const v1::TrialLabels& labels);
  void Record(const session::AttemptKey& key, const v1::RankEvent& event);
  void End(const session::AttemptKey& key, base::Time now);
  // Removes the attempt's series at once, whatever it records from now on.
  void Drop(const session::AttemptKey& key);
  void Show(bool visible);
  // Removes what ended long ago.
  void Tick(base::Time now);
  // For the gauges of the worker itself.
  void SetWorker(int busy_slots, int free_slots, bool connected);

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  struct Series {
    v1::TrialLabels labels;
    std::optional<int64_t> step;
    std::optional<v1::StepDone> last_step;
    std::optional<v1::EvalDone> last_eval;
    double flops_per_token = 0;
    double peak_flops = 0;
    std::vector<double> layer_gradient_norms;
    std::vector<double> layer_activation_variances;
    std::vector<double> layer_update_ratios;
    std::optional<base::Time> ended;
  };

  const base::Duration keep_after_end_;
  mutable std::mutex mutex_;
  std::map<session::AttemptKey, Series> series_;
  bool visible_ = true;
  bool connected_ = false;
  int busy_slots_ = 0;
  int free_slots_ = 0;
};

}  // namespace mixln::worker::agent
