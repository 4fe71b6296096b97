// A cluster that never has enough slots, and no faults: as one sweep ends, the next one is submitted; some
// are of a higher priority, and at times a worker is drained. Nobody starves: a sweep that has trials waiting
// gets one of them placed after at most one trial of each other sweep, while none of a higher priority waits
// and all workers are in service. And all trials are done in the end.
#pragma once

#include <map>
#include <string>

#include "scenario.h"

namespace mixln::simulation {

class Crowd : public Scenario {
 public:
  Crowd(uint64_t seed, Mutation mutation);

  void Run() override;

 private:
  void Submit();
  void Drain();
  void Look(double seconds);
  void HoldGangsBack();
  // Trials that did not succeed yet, in words.
  std::string Open() const;

  // How long a sweep that has trials waiting had none placed.
  struct Wait {
    int attempts = 0;  // of all its trials
    double seconds = 0;
  };

  const bool keeps_;
  int submitted_ = 0;
  bool drained_ = false;
  std::map<std::string, Wait> waits_;  // by sweep id
};

}  // namespace mixln::simulation
