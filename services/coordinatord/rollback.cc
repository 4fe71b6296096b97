#include "services/coordinatord/rollback.h"

#include <set>

#include "coordinator/state/trials.h"

namespace mixln::services::coordinatord {
namespace {

void PutBack(const std::set<std::string>& ids, const auto& committed, auto& rows) {
  for (const std::string& id : ids) {
    if (const auto row = committed(id)) {
      rows[id] = *row;
    } else {
      rows.erase(id);
    }
  }
}

}  // namespace

Rollback::Rollback(const coordinator::state::State& state)
    : last_epoch_(state.last_epoch),
      revision_(state.revision),
      workers_(state.workers),
      live_(state.live),
      not_before_(state.not_before),
      checkpoint_until_(state.checkpoint_until) {}

void Rollback::Undo(const coordinator::control::Changes& changes, const Published& published,
                    coordinator::state::State& state) const {
  state.last_epoch = last_epoch_;
  state.revision = revision_;
  state.workers = workers_;
  state.live = live_;
  state.not_before = not_before_;
  state.checkpoint_until = checkpoint_until_;
  PutBack(
      changes.sweeps, [&](const std::string& id) { return published.Sweep(id); }, state.sweeps);
  PutBack(
      changes.trials, [&](const std::string& id) { return published.Trial(id); }, state.trials);
  coordinator::state::FindPending(state);
}

}  // namespace mixln::services::coordinatord
