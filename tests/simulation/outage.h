// A cluster whose coordinator has all the bad luck: it dies, stands still, is suspended with all hosts, and
// its disks are slow, full or failing, for less than a minute at a time. Training does not notice: every
// trial ends at its first attempt (promise 2).
#pragma once

#include "scenario.h"

namespace mixln::simulation {

class Outage : public Scenario {
 public:
  explicit Outage(uint64_t seed);

  void Run() override;

 private:
  void Submit();
  void Trouble();
  // Whether all trials have ended.
  bool Look() const;

  int slots_left_ = 0;
};

}  // namespace mixln::simulation
