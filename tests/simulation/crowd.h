// A cluster that never has enough slots, and no faults: as one sweep ends, the next one is submitted. Nobody
// starves: a sweep with work to do and no trial under way gets its next one placed after at most one trial of
// each other sweep.
#pragma once

#include <map>
#include <string>

#include "scenario.h"

namespace mixln::simulation {

class Crowd : public Scenario {
 public:
  explicit Crowd(uint64_t seed);

  void Run() override;

 private:
  void Submit();
  void Look();

  int submitted_ = 0;
  std::map<std::string, double> waits_since_;  // by sweep id: it has had nothing but waiting trials since
};

}  // namespace mixln::simulation
