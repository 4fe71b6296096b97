// A sweep while it runs, as text: the live table of a terminal, and single lines elsewhere. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mixln/v1/sweep.pb.h"
#include "services/mixlnctl/style.h"

namespace mixln::services::mixlnctl {

// What a stream of WatchSweepResponse has said so far.
struct SweepView {
  v1::Sweep sweep;
  std::map<int, v1::TrialView> trials;  // by index
};

void Apply(SweepView& view, const v1::WatchSweepResponse& change);

struct LiveOptions {
  int width = 80;
  int height = 24;
  bool unicode = true;
  Style style = {};
  double elapsed_seconds = 0;
  std::string note = {};  // shown below, such as "reconnecting"
};

// The table, a line for all trials together, and the note: at most `height` - 1 lines, none wider than
// `width`. Where there is no room for all trials, those that run are shown, then those that start, ended and
// wait.
std::vector<std::string> LiveLines(const SweepView& view, const LiveOptions& options);

// Share of all updates done, trials that have ended counting as all of theirs.
double OverallFraction(const SweepView& view);
// Seconds until the last trial's last step at the present speed of those that run; 0: not known.
double OverallEta(const SweepView& view);

// One line for a change worth a line: a new state or reason, an evaluation, another tenth of the steps.
// nullopt for the rest. `before` is null for the first that is heard of the trial.
std::optional<std::string> ChangeLine(const v1::TrialView* before, const v1::TrialView& after);

// Whether `state`, a name without prefix, is terminal.
bool IsTerminalName(const std::string& state);
// The state without the enum's prefix, whichever way the server spells it.
std::string ShortState(const v1::TrialView& trial);

}  // namespace mixln::services::mixlnctl
