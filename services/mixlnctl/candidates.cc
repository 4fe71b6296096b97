#include "services/mixlnctl/candidates.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

constexpr char kSeed[] = "train.seed";

bool HasResult(const v1::Trial& trial) {
  return trial.progress().finished() && trial.state() != v1::TRIAL_STATE_DIVERGED;
}

Candidate MakeCandidate(std::string name, v1::ResultRow row, const std::vector<const v1::Trial*>& trials) {
  Candidate candidate{
      .name = std::move(name), .row = std::move(row), .settings = {}, .seeds_with_result = {}};
  std::vector<std::string> all;
  std::vector<std::string> seeds;
  for (const v1::Trial* trial : trials) {
    all.push_back(trial->id());
    seeds.push_back(absl::StrCat(trial->spec().train().seed()));
    if (HasResult(*trial)) candidate.seeds_with_result.push_back(trial->id());
  }
  if (candidate.seeds_with_result.empty()) candidate.seeds_with_result = std::move(all);
  if (!trials.empty()) candidate.settings = SettingsOf(trials.front()->spec());
  for (auto& [path, value] : candidate.settings) {
    if (path == kSeed) value = absl::StrJoin(seeds, ", ");
  }
  return candidate;
}

void CountState(v1::TrialState state, v1::TrialCounts& counts) {
  const auto* field =
      v1::TrialCounts::descriptor()->FindFieldByLowercaseName(absl::AsciiStrToLower(StateName(state)));
  if (field != nullptr) v1::TrialCounts::GetReflection()->SetInt32(&counts, field, 1);
}

// As a sweep of this trial alone would have it.
v1::ResultRow RowOf(const v1::Trial& trial) {
  v1::ResultRow row;
  *row.mutable_parameters() = trial.parameters();
  row.set_placement(trial.spec().norm().placement());
  row.set_alpha(trial.spec().norm().alpha());
  row.set_post_layers(trial.spec().norm().post_layers());
  row.set_tokens(trial.progress().tokens());
  row.add_trial_ids(trial.id());
  CountState(trial.state(), *row.mutable_counts());
  if (!HasResult(trial)) return row;
  row.set_perplexity_mean(trial.progress().perplexity());
  row.set_loss_mean(trial.progress().eval_loss());
  row.set_bits_per_byte_mean(trial.progress().bits_per_byte());
  row.set_train_seconds_mean(trial.train_seconds());
  return row;
}

absl::Status AddSweep(Client& client, const v1::Sweep& sweep, bool alone,
                      std::vector<Candidate>& candidates) {
  v1::GetResultsRequest request;
  request.set_sweep_id(sweep.id());
  auto results = client.CallUntilAnswered(client.sweeps(), &v1::SweepService::Stub::GetResults, request);
  if (!results.ok()) return results.status();
  auto list = ListTrials(client, sweep.id());
  if (!list.ok()) return list.status();
  std::map<std::string, const v1::Trial*> by_id;
  for (const v1::Trial& trial : list->trials()) by_id[trial.id()] = &trial;
  for (v1::ResultRow& row : *results->mutable_rows()) {
    std::vector<const v1::Trial*> trials;
    for (const std::string& id : row.trial_ids()) {
      if (const auto found = by_id.find(id); found != by_id.end()) trials.push_back(found->second);
    }
    const std::string parameters = row.parameters().empty() ? "" : ParameterText(row.parameters(), true);
    std::string name = parameters;
    if (!alone || name.empty()) name = absl::StrCat(sweep.id(), name.empty() ? "" : " ", name);
    candidates.push_back(MakeCandidate(std::move(name), std::move(row), trials));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Candidate>> FindCandidates(Client& client, const std::vector<std::string>& names) {
  auto found = FindAll(client, names);
  if (!found.ok()) return found.status();
  std::vector<Candidate> candidates;
  for (const SweepOrTrial& one : *found) {
    if (one.trial) {
      candidates.push_back(MakeCandidate(one.trial->id(), RowOf(*one.trial), {&*one.trial}));
      continue;
    }
    if (auto added = AddSweep(client, *one.sweep, found->size() == 1, candidates); !added.ok()) return added;
  }
  return candidates;
}

absl::StatusOr<MeanCurve> ReadMeanCurve(Client& client, const Candidate& candidate, const std::string& metric,
                                        int max_points) {
  std::map<int64_t, std::vector<double>> by_step;
  for (const std::string& trial_id : candidate.seeds_with_result) {
    v1::GetCurveRequest request;
    request.set_trial_id(trial_id);
    request.set_metric(metric);
    request.set_max_points(max_points);
    auto curve = client.CallUntilAnswered(client.trials(), &v1::TrialService::Stub::GetCurve, request);
    if (!curve.ok()) return curve.status();
    for (int i = 0; i < curve->steps_size() && i < curve->values_size(); ++i) {
      if (std::isfinite(curve->values(i))) by_step[curve->steps(i)].push_back(curve->values(i));
    }
  }
  MeanCurve mean;
  for (const auto& [step, values] : by_step) {
    if (values.size() < candidate.seeds_with_result.size()) continue;
    double sum = 0;
    for (const double value : values) sum += value;
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    mean.steps.push_back(step);
    mean.mean.push_back(sum / static_cast<double>(values.size()));
    mean.low.push_back(*low);
    mean.high.push_back(*high);
  }
  return mean;
}

MeanCurve AtSteps(const MeanCurve& curve, const std::vector<int64_t>& steps) {
  MeanCurve chosen;
  for (const int64_t step : steps) {
    const auto at = static_cast<size_t>(std::lower_bound(curve.steps.begin(), curve.steps.end(), step) -
                                        curve.steps.begin());
    chosen.steps.push_back(step);
    chosen.mean.push_back(curve.mean[at]);
    chosen.low.push_back(curve.low[at]);
    chosen.high.push_back(curve.high[at]);
  }
  return chosen;
}

std::vector<int64_t> CommonSteps(const std::vector<MeanCurve>& curves, size_t most) {
  if (curves.empty()) return {};
  std::vector<int64_t> common = curves.front().steps;
  for (const MeanCurve& curve : curves) {
    std::vector<int64_t> both;
    std::set_intersection(common.begin(), common.end(), curve.steps.begin(), curve.steps.end(),
                          std::back_inserter(both));
    common = std::move(both);
  }
  if (common.size() <= most) return common;
  std::vector<int64_t> chosen;
  chosen.reserve(most);
  for (size_t i = 0; i < most; ++i) chosen.push_back(common[i * (common.size() - 1) / (most - 1)]);
  return chosen;
}

std::vector<std::string> DifferingPaths(const std::vector<Candidate>& candidates) {
  std::vector<std::string> differing;
  bool placement_differs = false;
  if (candidates.empty()) return differing;
  for (const auto& [path, value] : candidates.front().settings) {
    const std::string& first = value;
    const std::string& at = path;
    const bool same = std::all_of(candidates.begin(), candidates.end(), [&](const Candidate& candidate) {
      return SettingAt(candidate.settings, at) == first;
    });
    if (same) continue;
    differing.push_back(path);
    placement_differs =
        placement_differs || path == "norm.alpha" || path == "norm.placement" || path == "norm.post_layers";
  }
  if (placement_differs) std::erase(differing, "norm.layer_placements");
  return differing;
}

}  // namespace mixln::services::mixlnctl
