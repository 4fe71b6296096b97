// What one seed is played on: a simulated cluster, and what is done with it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "coordinator.h"
#include "ledger.h"
#include "ranks.h"
#include "scheduler.h"
#include "worker.h"

namespace mixln::simulation {

class Scenario {
 public:
  virtual ~Scenario() = default;
  // Plays it to its end. Throws Violation.
  virtual void Run() = 0;
  // Virtual seconds that it took so far, and trials that were accepted in it.
  double seconds() const { return scheduler_.seconds(); }
  int trials() const { return trials_; }
  // Prints what processes say and how they fare.
  void Trace() { scheduler_.traces = true; }

 protected:
  Scenario(uint64_t seed, Mutation mutation);
  // One of one to three slots, which is not started yet. It sees the artifacts folder of all, or its own.
  Worker& AddWorker(bool shares_artifacts);
  Worker& AnyWorker() {
    return *workers_[static_cast<size_t>(scheduler_.Pick(static_cast<int>(workers_.size())))];
  }

  Scheduler scheduler_;
  Ledger ledger_;
  Ranks ranks_;
  Coordinator coordinator_;
  std::vector<std::unique_ptr<Worker>> workers_;
  int total_slots_ = 0;
  int trials_ = 0;
};

}  // namespace mixln::simulation
