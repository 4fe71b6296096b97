// The whole cluster at one moment, as text: what `top` draws. Pure.
#pragma once

#include <string>
#include <vector>

#include "mixln/v1/sweep.pb.h"
#include "mixln/v1/trial.pb.h"
#include "mixln/v1/worker.pb.h"
#include "services/mixlnctl/style.h"

namespace mixln::services::mixlnctl {

struct FleetView {
  std::string coordinator;  // its address
  std::vector<v1::Worker> workers;
  std::vector<v1::Sweep> sweeps;  // newest first
  std::vector<v1::Trial> trials;  // of the sweeps that have not ended
};

// Something that a person should look at, in one line.
struct Alert {
  bool severe = false;  // work is lost or stands still
  std::string text;
};

// Lost and drained workers, sweeps none of whose trials runs, trials that failed, diverged or are tried
// again; severe ones first.
std::vector<Alert> FleetAlerts(const FleetView& view, double now_seconds);

struct FleetOptions {
  int width = 80;
  int height = 0;  // 0: no limit
  bool unicode = true;
  Style style = {};
  double now_seconds = 0;  // since 1970
  std::string note = {};   // shown below the first line, such as "trying again"
};

// A line on the whole, the alerts, and tables of sweeps, workers and the trials that hold slots or wait next.
// At most `height` lines and no fewer than two, none wider than `width`: what there is no room for is
// counted. Sweeps that ended more than ten minutes ago are left out.
std::vector<std::string> FleetLines(const FleetView& view, const FleetOptions& options);

}  // namespace mixln::services::mixlnctl
