#include "coordinator/results/compare.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mixln::coordinator::results {
namespace {

constexpr char kSeed[] = "train.seed";

// Rows of a kind stand together, in this order.
enum class Kind { kComplete, kPruned, kDiverged, kWithoutResult, kUnfinished };

struct Group {
  std::vector<const v1::Trial*> trials;      // of those that try each other again, the newest
  std::vector<const v1::Trial*> superseded;  // the others
  std::vector<const v1::Trial*> evaluated;   // those whose final evaluation is in
};

std::string KeyOf(const v1::Trial& trial) {
  std::string key;
  for (const auto& parameter : trial.parameters()) {
    if (parameter.path() != kSeed) absl::StrAppend(&key, parameter.path(), "=", parameter.value(), "\n");
  }
  return key;
}

void Count(v1::TrialState trial_state, v1::TrialCounts& counts) {
  switch (trial_state) {
    case v1::TRIAL_STATE_PENDING: counts.set_pending(counts.pending() + 1); break;
    case v1::TRIAL_STATE_STARTING: counts.set_starting(counts.starting() + 1); break;
    case v1::TRIAL_STATE_RUNNING: counts.set_running(counts.running() + 1); break;
    case v1::TRIAL_STATE_STOPPING: counts.set_stopping(counts.stopping() + 1); break;
    case v1::TRIAL_STATE_PAUSED: counts.set_paused(counts.paused() + 1); break;
    case v1::TRIAL_STATE_SUCCEEDED: counts.set_succeeded(counts.succeeded() + 1); break;
    case v1::TRIAL_STATE_FAILED: counts.set_failed(counts.failed() + 1); break;
    case v1::TRIAL_STATE_DIVERGED: counts.set_diverged(counts.diverged() + 1); break;
    case v1::TRIAL_STATE_PRUNED: counts.set_pruned(counts.pruned() + 1); break;
    case v1::TRIAL_STATE_CANCELLED: counts.set_cancelled(counts.cancelled() + 1); break;
    default: break;
  }
}

// Mean of `value` over the trials; 0 over none.
template <typename Value>
double Mean(const std::vector<const v1::Trial*>& trials, const Value& value) {
  if (trials.empty()) return 0;
  double sum = 0;
  for (const auto* trial : trials) sum += value(*trial);
  return sum / static_cast<double>(trials.size());
}

double Perplexity(const v1::Trial& trial) {
  return trial.progress().perplexity();
}

double SampleDeviation(const std::vector<const v1::Trial*>& trials, double mean) {
  if (trials.size() < 2) return 0;
  double squares = 0;
  for (const auto* trial : trials) squares += (Perplexity(*trial) - mean) * (Perplexity(*trial) - mean);
  return std::sqrt(squares / static_cast<double>(trials.size() - 1));
}

v1::ResultRow MakeRow(const Group& group) {
  v1::ResultRow row;
  const v1::Trial& first = *group.trials.front();
  for (const auto& parameter : first.parameters()) {
    if (parameter.path() != kSeed) *row.add_parameters() = parameter;
  }
  row.set_placement(first.spec().norm().placement());
  row.set_alpha(first.spec().norm().alpha());
  row.set_post_layers(first.spec().norm().post_layers());
  for (const auto* trial : group.trials) {
    row.add_trial_ids(trial->id());
    Count(trial->state(), *row.mutable_counts());
    row.set_tokens(std::max<int64_t>(row.tokens(), trial->progress().tokens()));
  }
  for (const auto* trial : group.superseded) row.add_superseded_trial_ids(trial->id());
  const auto& evaluated = group.evaluated;
  row.set_perplexity_mean(Mean(evaluated, Perplexity));
  row.set_perplexity_stddev(SampleDeviation(evaluated, row.perplexity_mean()));
  row.set_loss_mean(Mean(evaluated, [](const auto& trial) { return trial.progress().eval_loss(); }));
  row.set_bits_per_byte_mean(
      Mean(evaluated, [](const auto& trial) { return trial.progress().bits_per_byte(); }));
  row.set_train_seconds_mean(Mean(evaluated, [](const auto& trial) { return trial.train_seconds(); }));
  return row;
}

Kind KindOf(const v1::ResultRow& row) {
  const auto& counts = row.counts();
  if (counts.pending() + counts.starting() + counts.running() + counts.stopping() + counts.paused() > 0)
    return Kind::kUnfinished;
  if (counts.diverged() > 0) return Kind::kDiverged;
  // A mean over the seeds that a search let finish says nothing fair.
  if (counts.pruned() > 0) return Kind::kPruned;
  return row.perplexity_mean() > 0 ? Kind::kComplete : Kind::kWithoutResult;
}

}  // namespace

v1::Results Compare(const v1::Sweep& sweep, const std::vector<const v1::Trial*>& trials) {
  v1::Results results;
  results.set_sweep_id(sweep.id());
  std::vector<Group> groups;
  std::map<std::string, size_t> group_of;
  std::set<std::string> tried_again;
  for (const auto* trial : trials) tried_again.insert(trial->retry_of());
  for (const auto* trial : trials) {
    const auto [found, added] = group_of.emplace(KeyOf(*trial), groups.size());
    if (added) groups.emplace_back();
    Group& group = groups[found->second];
    if (tried_again.contains(trial->id())) {
      group.superseded.push_back(trial);
      continue;
    }
    group.trials.push_back(trial);
    const bool evaluated = trial->progress().finished() && trial->state() != v1::TRIAL_STATE_DIVERGED;
    if (evaluated && std::isfinite(Perplexity(*trial))) group.evaluated.push_back(trial);
    if (results.unigram_perplexity() == 0)
      results.set_unigram_perplexity(trial->progress().unigram_perplexity());
  }
  std::vector<v1::ResultRow> rows;
  std::transform(groups.begin(), groups.end(), std::back_inserter(rows), MakeRow);
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    // Within a kind, a row without a mean stands behind those that have one.
    return std::tuple(KindOf(a), a.perplexity_mean() == 0, a.perplexity_mean()) <
           std::tuple(KindOf(b), b.perplexity_mean() == 0, b.perplexity_mean());
  });
  if (!rows.empty() && KindOf(rows.front()) == Kind::kComplete) rows.front().set_best(true);
  for (auto& row : rows) *results.add_rows() = std::move(row);
  return results;
}

}  // namespace mixln::coordinator::results
