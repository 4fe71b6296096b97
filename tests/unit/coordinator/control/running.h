// A cluster with one trial that runs.
#pragma once

#include <cstdint>

#include "cluster.h"

namespace mixln::coordinator::control {

// One running trial on worker a.
struct Running : Cluster {
  explicit Running(int slots = 1) {
    Connect("a", slots);
    Submit("s", 1);
    RunOn("a", "s-0");
  }
  void Save(int64_t step) { Happen(Batch("a", "s-0", {Checkpoint(step)})); }
  // Time passes with a heartbeat every 5 s, and ends with a tick.
  void KeepAlive(int seconds) {
    for (; seconds > 0; seconds -= 5) {
      Beat("a", {});
      Pass(5);
    }
  }
};

}  // namespace mixln::coordinator::control
