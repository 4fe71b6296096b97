// The way in for what a worker's ranks say, batch by batch in the order of its stream: first the core, which
// checks the fence, then the curve store.
//
// A checkpoint is given to the core only when all that was said before it is on disk. Else a coordinator that
// dies at the wrong moment would know a checkpoint and not the curve up to it, and a trial that resumes from
// it elsewhere would never say those steps again.
//
// Batches wait here and not in front of the stream's other messages: a heartbeat overtakes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "mixln/v1/session.pb.h"

namespace mixln::services::coordinatord {

class EventIntake : public std::enable_shared_from_this<EventIntake> {
 public:
  struct Effects {
    // Gives a batch to the core; `answered(taken)` comes once what it changed is on disk, or it was refused.
    std::function<void(const v1::EventBatch&, std::function<void(bool taken)> answered)> take;
    // Gives a batch that was taken to the curve store; `stored` comes once it is on disk.
    std::function<void(v1::EventBatch, std::function<void()> stored)> store;
    // Asks the curve store not to let what it has wait for more.
    std::function<void()> hurry;
  };

  explicit EventIntake(Effects effects) : effects_(std::move(effects)) {}

  // `admitted` is called, now or later, when there is room for another batch: until then none may come.
  void Add(v1::EventBatch batch, std::function<void()> admitted);
  // The stream is over: what waits is dropped, and its worker says it again on the next one.
  void Stop();

 private:
  void Next();
  void Taken(v1::EventBatch batch, bool taken);
  void Stored();

  const Effects effects_;
  std::mutex mutex_;
  std::deque<v1::EventBatch> waiting_;
  size_t waiting_events_ = 0;
  std::function<void()> admitted_;  // of a batch that waits for room
  bool taking_ = false;             // the core has a batch
  bool hurried_ = false;            // for the checkpoint in front
  int64_t unstored_ = 0;            // batches that the curve store has
  bool stopped_ = false;
};

}  // namespace mixln::services::coordinatord
