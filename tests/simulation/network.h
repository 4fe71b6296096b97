// Streams between workers and the coordinator, as gRPC gives them: each direction keeps its order and loses
// nothing while the stream lives. But a stream breaks at any moment, the two ends learn of it at different
// times, what was under way may be lost or still arrive after a newer stream's hello, and a partition holds
// one direction or both back.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "scheduler.h"

namespace mixln::simulation {

enum Side { kWorker = 0, kCoordinator = 1 };  // also names the direction away from that side

// What lies between one worker and the coordinator.
struct Link {
  std::array<bool, 2> blocked = {false, false};
  double delay = 0.01;  // seconds at most, of a message
};

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(Scheduler& scheduler, Link& link) : scheduler_(scheduler), link_(link) {}

  // Called once when that side learns that the stream is gone; not when it closed the stream itself.
  std::array<std::function<void()>, 2> on_closed;

  bool open(Side side) const { return open_[side]; }

  // Has the other side do `deliver`, unless that side is gone by then.
  void Send(Side from, std::function<void()> deliver) {
    if (!open_[from]) return;
    ways_[from].push_back({scheduler_.seconds() + scheduler_.Between(0, link_.delay), std::move(deliver)});
    Wake(from, ways_[from].back().first - scheduler_.seconds());
  }

  // This side ends it: the other learns so after what was sent before, or only from its keepalive.
  void Close(Side side, bool silently) {
    if (!open_[side]) return;
    const Side other = side == kWorker ? kCoordinator : kWorker;
    if (!silently) Send(side, [this, other] { Gone(other); });
    open_[side] = false;
    scheduler_.After(scheduler_.Between(5, 25), [self = shared_from_this(), other] { self->Gone(other); });
  }

  // It breaks: both sides learn it in their own time; what is under way may be lost.
  void Break() {
    for (const Side side : {kWorker, kCoordinator}) {
      if (scheduler_.Chance(0.5)) ways_[side].clear();
      scheduler_.After(scheduler_.Between(0, 20), [self = shared_from_this(), side] { self->Gone(side); });
    }
  }

  // A partition has begun: the keepalive ends the stream if it lasts.
  void Starve() {
    scheduler_.After(scheduler_.Between(5, 20), [self = shared_from_this()] {
      if (self->link_.blocked[kWorker] || self->link_.blocked[kCoordinator]) self->Break();
    });
  }

 private:
  void Gone(Side side) {
    if (!std::exchange(open_[side], false)) return;
    if (on_closed[side]) on_closed[side]();
  }

  void Wake(Side from, double delay) {
    scheduler_.After(delay, [self = shared_from_this(), from] { self->Deliver(from); });
  }

  void Deliver(Side from) {
    auto& way = ways_[from];
    const Side to = from == kWorker ? kCoordinator : kWorker;
    while (!way.empty() && way.front().first <= scheduler_.seconds() + 1e-6) {
      if (!open_[to]) return way.clear();
      if (link_.blocked[from]) return Wake(from, 0.5);
      const auto deliver = std::move(way.front().second);
      way.pop_front();
      deliver();
    }
    if (!way.empty()) Wake(from, way.front().first - scheduler_.seconds());
  }

  Scheduler& scheduler_;
  Link& link_;
  std::array<bool, 2> open_ = {true, true};
  std::array<std::deque<std::pair<double, std::function<void()>>>, 2> ways_;  // delivery time and what to do
};

}  // namespace mixln::simulation
