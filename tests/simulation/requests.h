// What users asked for and were told OK, and whether it holds from then on, over all restarts, until they ask
// for the opposite.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "coordinator/control/event.h"
#include "services/coordinatord/published.h"

namespace mixln::simulation {

class Requests {
 public:
  using Published = services::coordinatord::Published;

  // A user asks for this, of what readers see. To be called with the answer; none may ever come.
  std::function<void(const absl::Status&)> Ask(const coordinator::control::Event& event,
                                               const Published& published);
  // Whether the sweep's deletion was asked for: it may be gone.
  bool MayBeGone(const std::string& sweep_id) const { return to_delete_.contains(sweep_id); }

  void Check(const Published& published) const;

 private:
  using Ids = std::set<std::string>;
  void Undo(const std::string& id);
  void CheckTrial(const Published& published, const std::string& id, bool cancelled) const;

  uint64_t asked_ = 0;
  std::map<std::string, uint64_t> undone_;  // by sweep, trial or worker: the last request to take it back
  Ids cancelled_;                           // trials
  Ids paused_;                              // trials
  Ids drained_;                             // workers
  Ids to_delete_;                           // sweeps
  Ids deleted_;                             // sweeps
};

}  // namespace mixln::simulation
