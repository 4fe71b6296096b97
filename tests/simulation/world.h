// One simulated cluster, its users and its bad luck, from one seed.
#pragma once

#include "scenario.h"

namespace mixln::simulation {

class World : public Scenario {
 public:
  World(uint64_t seed, Mutation mutation);

  // Faults for some minutes, then none until every trial has ended.
  void Run() override;

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

  int sweeps_ = 0;
  bool shares_artifacts_ = true;  // all workers see one folder
  int accepted_ = 0;
  bool troubled_ = true;
};

}  // namespace mixln::simulation
