// A cluster that never has enough slots, and no faults: as one sweep ends, the next one is submitted. Nobody
// starves: a sweep with work to do and no trial under way gets its next one placed after at most one trial of
// each other sweep.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator.h"
#include "ledger.h"
#include "ranks.h"
#include "scenario.h"
#include "scheduler.h"
#include "worker.h"

namespace mixln::simulation {

class Crowd : public Scenario {
 public:
  explicit Crowd(uint64_t seed);

  void Run() override;
  double seconds() const override { return scheduler_.seconds(); }
  int trials() const override { return trials_; }

 private:
  void Submit();
  void Look();

  Scheduler scheduler_;
  Ledger ledger_;
  Ranks ranks_;
  Coordinator coordinator_;
  std::vector<std::unique_ptr<Worker>> workers_;
  int total_slots_ = 0;
  int submitted_ = 0;
  int trials_ = 0;
  std::map<std::string, double> waits_since_;  // by sweep id: it has had nothing but waiting trials since
};

}  // namespace mixln::simulation
