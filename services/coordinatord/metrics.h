// The coordinator's own Prometheus series; docs name them all. Thread-safe.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <memory>
#include <string>
#include <vector>

#include "mixln/v1/trial.pb.h"
#include "mixln/v1/worker.pb.h"
#include "services/coordinatord/published.h"

namespace mixln::services::coordinatord {

class Metrics {
 public:
  Metrics();

  // Seconds of one commit of a database, "state" or "curves".
  void ObserveCommit(const std::string& database, double seconds);
  // Seconds from an event's arrival to its answer, its commit included.
  void ObserveDecision(double seconds);
  // A finished call: full method name and the name of its code.
  void ObserveCall(const std::string& method, const std::string& code, double seconds);
  // Counts bad input, by its kind (control::Decision::refused, or one of the stream's own).
  void CountRefused(const std::string& kind);
  // Counts what a change of a row says: waits that ended, attempts that failed, leases that expired.
  void ObserveTrial(const v1::Trial* before, const v1::Trial& now);
  void ObserveWorker(const v1::Worker* before, const v1::Worker& now);

  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }

 private:
  const std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Histogram>& commit_seconds_;
  prometheus::Histogram& decision_latency_;
  prometheus::Histogram& queue_wait_;
  prometheus::Family<prometheus::Counter>& attempt_failures_;
  prometheus::Counter& lease_expiries_;
  prometheus::Family<prometheus::Counter>& refused_;
  prometheus::Family<prometheus::Counter>& handled_;
  prometheus::Family<prometheus::Histogram>& handling_seconds_;
};

// mixln_trials{state} and mixln_slots{state} (free, taken, unreachable), counted when they are scraped.
class StateGauges : public prometheus::Collectable {
 public:
  explicit StateGauges(const Published& published) : published_(published) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Published& published_;
};

}  // namespace mixln::services::coordinatord
