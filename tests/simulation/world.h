// One simulated cluster, its users and its bad luck, from one seed.
#pragma once

#include <set>
#include <string>

#include "scenario.h"

namespace mixln::simulation {

class World : public Scenario {
 public:
  World(uint64_t seed, Mutation mutation);

  // Faults for some minutes, then none until every trial has ended; then every sweep is deleted, while some
  // workers are away, until nothing of them is left.
  void Run() override;

 private:
  void SubmitSweep(int number);
  void Trouble();
  void TroubleOf(Worker& worker);
  void TroubleOfCoordinator();
  void UserActs();
  void Ask(coordinator::control::Event event);
  void Partition(Worker& worker);
  void Heal();
  bool AllEnded();
  // Once the faults are over: puts right what users and bad luck have left.
  void PutRight();
  void DeleteAll();
  // What is left of deleted sweeps; empty: nothing.
  std::string Leftovers();
  // Throws what has not ended or gone by now.
  void GiveUp();

  int sweeps_ = 0;
  bool shares_artifacts_ = true;    // all workers see one folder
  std::set<std::string> accepted_;  // sweeps
  bool troubled_ = true;
  bool deleting_ = false;
};

}  // namespace mixln::simulation
