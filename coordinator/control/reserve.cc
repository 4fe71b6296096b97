#include "coordinator/control/reserve.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace mixln::coordinator::control {
namespace {

// The value of a swept parameter as the user wrote it, else `resolved`.
std::string AsGiven(const v1::Trial& trial, const std::string& path, const std::string& resolved) {
  for (const v1::CellParameter& parameter : trial.parameters()) {
    if (parameter.path() == path) return parameter.value();
  }
  return resolved;
}

v1::TrialLabels LabelsOf(const v1::Trial& trial) {
  const v1::TrialSpec& spec = trial.spec();
  v1::TrialLabels labels;
  labels.set_sweep(trial.sweep_id());
  labels.set_trial(trial.id());
  const std::string placement = v1::Placement_Name(spec.norm().placement());
  labels.set_placement(absl::AsciiStrToLower(placement.substr(sizeof("PLACEMENT_") - 1)));
  labels.set_alpha(AsGiven(trial, "norm.alpha", absl::StrCat(spec.norm().alpha())));
  labels.set_seed(absl::StrCat(spec.train().seed()));
  return labels;
}

}  // namespace

v1::Reserve MakeReserve(const v1::Sweep& sweep, const v1::Trial& trial, const v1::Attempt& attempt,
                        const std::string& worker_id) {
  v1::Reserve reserve;
  reserve.set_trial_id(trial.id());
  *reserve.mutable_fence() = attempt.fence();
  *reserve.mutable_spec() = trial.spec();
  for (const v1::RankPlacement& rank : attempt.ranks()) {
    if (rank.worker_id() == worker_id) *reserve.add_ranks() = rank;
  }
  reserve.set_world_size(attempt.ranks_size());
  *reserve.mutable_labels() = LabelsOf(trial);
  reserve.set_trial_dir(TrialDir(sweep, trial));
  reserve.set_resume_from(attempt.resume_from());
  reserve.set_resume_step(attempt.resume_step());
  return reserve;
}

std::string TrialDir(const v1::Sweep& sweep, const v1::Trial& trial) {
  return absl::StrCat(sweep.artifact_uri(), "/", trial.index());
}

}  // namespace mixln::coordinator::control
