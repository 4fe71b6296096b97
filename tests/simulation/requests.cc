#include "requests.h"

#include <variant>

#include "absl/strings/str_cat.h"
#include "coordinator/state/trials.h"
#include "scheduler.h"

namespace mixln::simulation {

namespace control = coordinator::control;
namespace state = coordinator::state;

namespace {

std::string SweepOf(const std::string& trial_id) {
  return trial_id.substr(0, trial_id.rfind('-'));
}

std::set<std::string> TrialsOf(const services::coordinatord::Published& published, const std::string& sweep) {
  std::set<std::string> ids;
  for (const auto& trial : published.Trials(sweep)) ids.insert(trial->id());
  return ids;
}

}  // namespace

void Requests::Undo(const std::string& id) {
  undone_[id] = asked_;
  std::erase_if(paused_, [&](const std::string& trial) { return trial == id || SweepOf(trial) == id; });
  drained_.erase(id);
}

std::function<void(const absl::Status&)> Requests::Ask(const control::Event& event,
                                                       const Published& published) {
  const uint64_t number = ++asked_;
  // Adds them once the answer is OK, but those for which the opposite was asked since.
  const auto add = [this, number](Ids ids, Ids& to) -> std::function<void(const absl::Status&)> {
    return [this, number, ids = std::move(ids), &to](const absl::Status& status) {
      if (!status.ok()) return;
      for (const std::string& id : ids) {
        if (undone_[id] < number && undone_[SweepOf(id)] < number) to.insert(id);
      }
    };
  };
  if (const auto* cancel = std::get_if<control::TrialCancelled>(&event))
    return add({cancel->trial_id}, cancelled_);
  if (const auto* cancel = std::get_if<control::SweepCancelled>(&event))
    return add(TrialsOf(published, cancel->sweep_id), cancelled_);
  if (const auto* pause = std::get_if<control::TrialPaused>(&event)) return add({pause->trial_id}, paused_);
  if (const auto* pause = std::get_if<control::SweepPaused>(&event))
    return add(TrialsOf(published, pause->sweep_id), paused_);
  if (const auto* drain = std::get_if<control::WorkerDrained>(&event); drain != nullptr && !drain->undo)
    return add({drain->worker_id}, drained_);
  if (const auto* removal = std::get_if<control::SweepDeleted>(&event)) {
    to_delete_.insert(removal->sweep_id);
    return add({removal->sweep_id}, deleted_);
  }
  if (const auto* drain = std::get_if<control::WorkerDrained>(&event)) Undo(drain->worker_id);
  if (const auto* resume = std::get_if<control::TrialResumed>(&event)) Undo(resume->trial_id);
  if (const auto* resume = std::get_if<control::SweepResumed>(&event)) Undo(resume->sweep_id);
  return [](const absl::Status&) {};
}

void Requests::CheckTrial(const Published& published, const std::string& id, bool cancelled) const {
  if (MayBeGone(SweepOf(id))) return;
  const auto trial = published.Trial(id);
  if (trial == nullptr) throw Violation(absl::StrCat("nothing acknowledged is lost: there is no trial ", id));
  if (trial->cancel_requested() || state::IsTerminal(trial->state())) return;
  if (cancelled)
    throw Violation(absl::StrCat("what a user was told holds: the cancel of ", id, " is forgotten"));
  if (trial->state() != v1::TRIAL_STATE_PAUSED && !trial->pause_requested() && !trial->prune_requested())
    throw Violation(absl::StrCat("what a user was told holds: ", id, " was paused, and is ",
                                 state::StateName(trial->state())));
}

void Requests::Check(const Published& published) const {
  for (const std::string& id : cancelled_) CheckTrial(published, id, /*cancelled=*/true);
  for (const std::string& id : paused_) CheckTrial(published, id, /*cancelled=*/false);
  if (!drained_.empty()) {
    Ids drained;
    for (const auto& worker : published.Workers()) {
      if (worker->drained()) drained.insert(worker->id());
    }
    for (const std::string& id : drained_) {
      if (!drained.contains(id))
        throw Violation(
            absl::StrCat("what a user was told holds: the drain of worker ", id, " is forgotten"));
    }
  }
  for (const std::string& id : deleted_) {
    if (published.Sweep(id) != nullptr || !published.Trials(id).empty())
      throw Violation(absl::StrCat("what a user was told holds: sweep ", id, " was deleted, and is there"));
  }
}

}  // namespace mixln::simulation
