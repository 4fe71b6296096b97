#include "services/coordinatord/metrics.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/time/time.h"
#include "base/version/version.h"
#include "coordinator/state/trials.h"

namespace mixln::services::coordinatord {
namespace {

// From a tenth of a millisecond to ten seconds.
const prometheus::Histogram::BucketBoundaries kLatency = {0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03,
                                                          0.1,    0.3,    1,     3,     10};
// From a second to a day.
const prometheus::Histogram::BucketBoundaries kWait = {1,    3,    10,    30,    100,  300,
                                                       1000, 3600, 10800, 36000, 86400};

// docs/metrics.md says what each is.
constexpr const char* kRefusals[] = {"invalid_request", "malformed",     "oversized",   "out_of_order",
                                     "version",         "other_cluster", "newer_term",  "older_worker",
                                     "same_worker",     "stale_session", "stale_fence", "wrong_rank",
                                     "identity"};

template <typename Builder>
auto& Family(Builder builder, prometheus::Registry& registry, const std::string& name,
             const std::string& help) {
  return builder.Name(name).Help(help).Register(registry);
}

std::string CauseLabel(v1::FailureCause cause) {
  return absl::AsciiStrToLower(v1::FailureCause_Name(cause).substr(sizeof "FAILURE_CAUSE_" - 1));
}

bool Waits(const v1::Trial* trial) {
  return trial != nullptr && trial->state() == v1::TRIAL_STATE_PENDING;
}

// When the trial last began to wait.
base::Time WaitBegin(const v1::Trial& trial) {
  base::Time begin = coordinator::state::FromTimestamp(trial.create_time());
  for (const auto& attempt : trial.attempts()) {
    if (attempt.has_end_time())
      begin = std::max(begin, coordinator::state::FromTimestamp(attempt.end_time()));
  }
  return begin;
}

bool HasLease(const v1::Worker& worker) {
  return worker.state() == v1::WORKER_STATE_READY || worker.state() == v1::WORKER_STATE_DRAINING ||
         worker.state() == v1::WORKER_STATE_UNKNOWN;
}

prometheus::MetricFamily Gauges(const std::string& name, const std::string& help,
                                const std::map<std::string, int>& by_state) {
  prometheus::MetricFamily family{name, help, prometheus::MetricType::Gauge, {}};
  for (const auto& [state, number] : by_state) {
    prometheus::ClientMetric metric;
    metric.label = {{"state", state}};
    metric.gauge.value = number;
    family.metric.push_back(std::move(metric));
  }
  return family;
}

}  // namespace

Metrics::Metrics()
    : registry_(std::make_shared<prometheus::Registry>()),
      commit_seconds_(Family(prometheus::BuildHistogram(), *registry_, "mixln_commit_seconds",
                             "Time of one commit, of the database of state or of curves.")),
      decision_latency_(Family(prometheus::BuildHistogram(), *registry_, "mixln_decision_latency_seconds",
                               "Time from an event's arrival to its answer, its commit included.")
                            .Add({}, kLatency)),
      queue_wait_(Family(prometheus::BuildHistogram(), *registry_, "mixln_queue_wait_seconds",
                         "How long trials waited for slots.")
                      .Add({}, kWait)),
      attempt_failures_(Family(prometheus::BuildCounter(), *registry_, "mixln_attempt_failures_total",
                               "Attempts that failed, by cause; every cause is there from the start, at 0.")),
      lease_expiries_(Family(prometheus::BuildCounter(), *registry_, "mixln_lease_expiries_total",
                             "Workers that were not heard of in time.")
                          .Add({})),
      refused_(Family(prometheus::BuildCounter(), *registry_, "mixln_refused_total",
                      "Bad input that changed nothing, by kind; every kind is there from the start, at 0.")),
      handled_(Family(prometheus::BuildCounter(), *registry_, "mixln_grpc_server_handled_total",
                      "Calls answered, by method and code.")),
      handling_seconds_(Family(prometheus::BuildHistogram(), *registry_, "mixln_grpc_server_handling_seconds",
                               "Time that calls took, by method.")) {
  Family(prometheus::BuildGauge(), *registry_, "mixln_build_info", "1; the label says which release runs.")
      .Add({{"version", std::string(base::version::kVersion)}})
      .Set(1);
  // From the start at 0: a rate sees the first failure only if there was a value before it.
  for (int cause = v1::FailureCause_MIN + 1; cause <= v1::FailureCause_MAX; ++cause)
    if (v1::FailureCause_IsValid(cause))
      attempt_failures_.Add({{"cause", CauseLabel(static_cast<v1::FailureCause>(cause))}});
  for (const char* kind : kRefusals) refused_.Add({{"reason", kind}});
}

void Metrics::CountRefused(const std::string& kind) {
  refused_.Add({{"reason", kind}}).Increment();
}

void Metrics::ObserveCommit(const std::string& database, double seconds) {
  commit_seconds_.Add({{"database", database}}, kLatency).Observe(seconds);
}

void Metrics::ObserveDecision(double seconds) {
  decision_latency_.Observe(seconds);
}

void Metrics::ObserveCall(const std::string& method, const std::string& code, double seconds) {
  handled_.Add({{"method", method}, {"code", code}}).Increment();
  handling_seconds_.Add({{"method", method}}, kLatency).Observe(seconds);
}

void Metrics::ObserveTrial(const v1::Trial* before, const v1::Trial& now) {
  if (Waits(before) && now.state() == v1::TRIAL_STATE_STARTING && now.attempts_size() > 0) {
    const base::Time placed =
        coordinator::state::FromTimestamp(now.attempts(now.attempts_size() - 1).create_time());
    queue_wait_.Observe(std::max(0.0, base::ToSeconds(placed - WaitBegin(*before))));
  }
  for (int i = 0; i < now.attempts_size(); ++i) {
    const auto& attempt = now.attempts(i);
    const bool was_ended =
        before != nullptr && i < before->attempts_size() && before->attempts(i).has_end_time();
    if (was_ended || !attempt.has_end_time() || attempt.cause() == v1::FAILURE_CAUSE_UNSPECIFIED) continue;
    attempt_failures_.Add({{"cause", CauseLabel(attempt.cause())}}).Increment();
  }
}

void Metrics::ObserveWorker(const v1::Worker* before, const v1::Worker& now) {
  if (before != nullptr && HasLease(*before) && now.state() == v1::WORKER_STATE_LOST)
    lease_expiries_.Increment();
}

std::vector<prometheus::MetricFamily> StateGauges::Collect() const {
  std::map<std::string, int> trials;
  for (int state = v1::TRIAL_STATE_PENDING; state <= v1::TRIAL_STATE_CANCELLED; ++state)
    trials[coordinator::state::StateName(static_cast<v1::TrialState>(state))] = 0;
  for (const auto& trial : published_.Trials("")) ++trials[coordinator::state::StateName(trial->state())];
  std::map<std::string, int> slots = {{"free", 0}, {"taken", 0}, {"unreachable", 0}};
  for (const auto& worker : published_.Workers()) {
    const bool reachable =
        worker->state() == v1::WORKER_STATE_READY || worker->state() == v1::WORKER_STATE_DRAINING;
    for (const auto& slot : worker->slots())
      ++slots[!reachable ? "unreachable" : slot.trial_id().empty() ? "free" : "taken"];
  }
  return {Gauges("mixln_trials", "Trials that the coordinator keeps, by state.", trials),
          Gauges("mixln_slots", "Slots, by state: free, taken, or unreachable because their worker is lost.",
                 slots)};
}

}  // namespace mixln::services::coordinatord
