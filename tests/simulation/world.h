// One simulated cluster, its users and its bad luck, from one seed.
#pragma once

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

class World : public Scenario {
 public:
  World(uint64_t seed, Mutation mutation);

  // Faults for some minutes, then none until every trial has ended.
  void Run() override;
  double seconds() const override { return scheduler_.seconds(); }
  int trials() const override { return trials_; }

 private:
  void SubmitSweep(int number);
  void Trouble();
  void UserActs();
  void Ask(coordinator::control::Event event);
  void Partition(Worker& worker);
  void Heal();
  bool AllEnded();
  void CheckEnded();
  Worker& AnyWorker() {
    return *workers_[static_cast<size_t>(scheduler_.Pick(static_cast<int>(workers_.size())))];
  }

  Scheduler scheduler_;
  Ledger ledger_;
  Ranks ranks_;
  Coordinator coordinator_;
  std::vector<std::unique_ptr<Worker>> workers_;
  int total_slots_ = 0;
  int sweeps_ = 0;
  int accepted_ = 0;
  int trials_ = 0;
  bool troubled_ = true;
};

}  // namespace mixln::simulation
