// What one seed is played on.
#pragma once

namespace mixln::simulation {

class Scenario {
 public:
  virtual ~Scenario() = default;
  // Plays it to its end. Throws Violation.
  virtual void Run() = 0;
  // Virtual seconds that it took so far, and trials that were accepted in it.
  virtual double seconds() const = 0;
  virtual int trials() const = 0;
};

}  // namespace mixln::simulation
