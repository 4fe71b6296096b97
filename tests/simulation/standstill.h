// A process that may be stopped and continued: SIGSTOP, a suspended host, a hypervisor that has better things
// to do. What reaches it meanwhile waits, and is done in its order soon after it goes on; its own timers may
// find themselves due before that.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <utility>

#include "scheduler.h"

namespace mixln::simulation {

class Standstill {
 public:
  explicit Standstill(Scheduler& scheduler) : scheduler_(scheduler) {}

  // It stands still for so many seconds from now.
  void Begin(double seconds) {
    const double until = scheduler_.seconds() + seconds;
    if (until <= until_) return;
    until_ = until;
    scheduler_.After(seconds + Lag(), [this, until] {
      if (until == until_) GoOn();
    });
  }
  // Seconds until it goes on; 0: it does not stand still.
  double rest() const { return std::max(0.0, until_ - scheduler_.seconds()); }
  // Seconds until a timer of it runs that is due while it stands still.
  double TimerDelay() { return rest() + Lag(); }
  // Does it now, or after what waits already.
  void Do(std::function<void()> action) {
    if (rest() == 0 && waiting_.empty()) return action();
    waiting_.push_back(std::move(action));
  }
  // The process dies.
  void Die() {
    until_ = 0;
    waiting_.clear();
  }

 private:
  double Lag() { return scheduler_.Between(0.001, 0.05); }
  void GoOn() {
    while (!waiting_.empty() && rest() == 0) {
      const auto action = std::move(waiting_.front());
      waiting_.pop_front();
      action();
    }
  }

  Scheduler& scheduler_;
  double until_ = 0;
  std::deque<std::function<void()>> waiting_;
};

}  // namespace mixln::simulation
