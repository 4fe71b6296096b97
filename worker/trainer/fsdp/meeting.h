// How ranks that share memory wait for each other.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/time/time.h"

namespace mixln::worker::trainer::fsdp {

// A rank's words, in memory that all ranks see. It alone writes them.
struct Place {
  static constexpr uint32_t kKept = 2;

  alignas(64) std::atomic<uint32_t> begun = 0;  // meetings that it has come to
  alignas(64) std::atomic<uint32_t> done = 0;   // that it has left: it reads nothing of them any more
  alignas(64) std::array<std::atomic<uint64_t>, kKept> given = {};  // what it says in the newest ones
};
static_assert(std::atomic<uint32_t>::is_always_lock_free && std::atomic<uint64_t>::is_always_lock_free);

// One rank's view of the meetings of all. They are numbered from 1; all ranks come to the same ones in the
// same order, and leave them in order. A rank is ahead of another by kKept meetings at most, so what is kept
// for a meeting lies at its number modulo kKept.
class Meeting {
 public:
  static constexpr uint32_t kKept = Place::kKept;

  // `places` by rank; whether a rank's process is gone; how long to wait for one that is not.
  Meeting(int rank, std::vector<Place*> places, std::function<bool(int)> has_ended, base::Duration timeout);

  // The number of the next meeting, once all ranks have left the one kKept before it. This rank must have.
  uint32_t Next();
  // Comes to it: what this rank wrote before is there for those that find it begun. `given`: a word for them.
  void Begin(uint32_t number, uint64_t given = 0);
  // Until all ranks have come, or have left. Throws error::PeerLostError that names the one that is gone, or
  // silent past the timeout.
  void AwaitBegun(uint32_t number) const { Await(&Place::begun, number); }
  void AwaitDone(uint32_t number) const { Await(&Place::done, number); }
  uint64_t Given(int rank, uint32_t number) const;
  void Leave(uint32_t number);

 private:
  using Word = std::atomic<uint32_t> Place::*;
  void Await(Word word, uint32_t number) const;
  // The rank that has not got so far; -1: none.
  int Behind(Word word, uint32_t number) const;

  int rank_;
  std::vector<Place*> places_;
  std::function<bool(int)> has_ended_;
  base::Duration timeout_;
  uint32_t begun_ = 0;
};

}  // namespace mixln::worker::trainer::fsdp
