#include "coordinator/control/submit.h"

#include <google/protobuf/util/message_differencer.h>

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "coordinator/schedule/place.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::control {
namespace {

using google::protobuf::util::MessageDifferencer;

// The first few differences between two specs, such as "modified: base.train.lr: 0.001 -> 0.002".
std::string Differences(const v1::SweepSpec& accepted, const v1::SweepSpec& submitted) {
  constexpr size_t kShown = 5;
  std::string report;
  MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&report);
  differencer.Compare(accepted, submitted);
  std::vector<std::string> lines = absl::StrSplit(report, '\n', absl::SkipEmpty());
  const size_t all = lines.size();
  if (all > kShown) lines.resize(kShown);
  std::string text = absl::StrJoin(lines, "; ");
  if (all > kShown) absl::StrAppend(&text, "; and ", all - kShown, " more");
  return text;
}

v1::Trial MakeTrial(const v1::Sweep& sweep, const v1::Cell& cell) {
  v1::Trial trial;
  trial.set_id(absl::StrCat(sweep.id(), "-", cell.index()));
  trial.set_sweep_id(sweep.id());
  trial.set_index(cell.index());
  *trial.mutable_parameters() = cell.parameters();
  *trial.mutable_spec() = cell.spec();
  *trial.mutable_create_time() = sweep.create_time();
  return trial;
}

// Whether all cells could be placed. Most ask for the same, and to look costs a walk over all workers' slots.
absl::Status AllFit(const state::State& state, const std::vector<v1::Cell>& cells) {
  std::set<std::pair<v1::Device, int>> fit;
  for (const v1::Cell& cell : cells) {
    const v1::ResourceSpec& resources = cell.spec().resources();
    if (!fit.emplace(resources.device(), resources.ranks()).second) continue;
    if (absl::Status fits = schedule::Fits(state, cell.spec()); !fits.ok()) return fits;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SubmitSweep(Context& context, const SweepSubmitted& event) {
  const std::string& id = event.sweep.id();
  const std::string& request_id = event.sweep.request_id();
  const auto taken = context.state.sweeps.find(id);
  if (taken != context.state.sweeps.end()) {
    const v1::Sweep& accepted = taken->second;
    if (!request_id.empty() && accepted.request_id() == request_id) return absl::OkStatus();
    if (MessageDifferencer::Equals(accepted.spec(), event.sweep.spec())) return absl::OkStatus();
    return absl::AlreadyExistsError(absl::StrCat("sweep ", id, " exists with another spec (",
                                                 Differences(accepted.spec(), event.sweep.spec()),
                                                 "): choose another metadata.name, or delete it first"));
  }
  if (!request_id.empty()) {
    for (const auto& [other_id, other] : context.state.sweeps) {
      if (other.request_id() == request_id) {
        return absl::InvalidArgumentError(absl::StrCat("request_id ", request_id, " created sweep ", other_id,
                                                       " before: use a new one for sweep ", id));
      }
    }
  }
  if (event.cells.empty()) return absl::InvalidArgumentError(absl::StrCat("sweep ", id, " has no cells"));
  if (absl::Status fit = AllFit(context.state, event.cells); !fit.ok()) return fit;

  v1::Sweep sweep = event.sweep;
  *sweep.mutable_create_time() = state::ToTimestamp(context.now.wall);
  sweep.set_artifact_uri(absl::StrCat("trials/", id, "-", sweep.uid()));
  sweep.clear_counts();
  sweep.clear_end_time();
  const v1::Sweep& accepted = context.state.sweeps[id] = sweep;
  for (const v1::Cell& cell : event.cells) {
    v1::Trial made = MakeTrial(accepted, cell);
    v1::Trial& trial = context.state.trials[made.id()] = made;
    MoveTrial(context, trial, v1::TRIAL_STATE_PENDING, "");
  }
  context.place = true;
  return absl::OkStatus();
}

}  // namespace mixln::coordinator::control
