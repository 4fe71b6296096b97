#include "worker/trainer/fsdp/meeting.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <climits>
#include <cmath>
#include <utility>

#include "worker/pulse/pulse.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::fsdp {
namespace {

using Clock = std::chrono::steady_clock;

// Ranks that compute alike come at nearly the same time, and to sleep and be woken takes longer than this.
constexpr int kSpins = 4000;
// While a rank sleeps, it looks so often whether the others are alive.
constexpr timespec kSleep{0, 50'000'000};

// The standard library's atomic wait is for the threads of one process.
void Sleep(std::atomic<uint32_t>& word, uint32_t seen) {
  syscall(SYS_futex, &word, FUTEX_WAIT, seen, &kSleep, nullptr, 0);
}

void Set(std::atomic<uint32_t>& word, uint32_t value) {
  word.store(value, std::memory_order_seq_cst);
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

// Numbers go round.
bool Reached(uint32_t value, uint32_t number) {
  return static_cast<int32_t>(value - number) >= 0;
}

void Pause() {
#ifdef __x86_64__
  __builtin_ia32_pause();
#endif
}

}  // namespace

Meeting::Meeting(int rank, std::vector<Place*> places, std::function<bool(int)> has_ended,
                 base::Duration timeout)
    : rank_(rank), places_(std::move(places)), has_ended_(std::move(has_ended)), timeout_(timeout) {}

uint32_t Meeting::Next() {
  const uint32_t number = ++begun_;
  if (number > kKept) AwaitDone(number - kKept);
  return number;
}

void Meeting::Begin(uint32_t number, uint64_t given) {
  Place& own = *places_.at(static_cast<size_t>(rank_));
  own.given[number % kKept].store(given, std::memory_order_relaxed);
  Set(own.begun, number);
}

uint64_t Meeting::Given(int rank, uint32_t number) const {
  return places_.at(static_cast<size_t>(rank))->given[number % kKept].load(std::memory_order_relaxed);
}

void Meeting::Leave(uint32_t number) {
  Set(places_.at(static_cast<size_t>(rank_))->done, number);
}

int Meeting::Behind(Word word, uint32_t number) const {
  for (size_t rank = 0; rank < places_.size(); ++rank) {
    if (!Reached((places_[rank]->*word).load(std::memory_order_acquire), number))
      return static_cast<int>(rank);
  }
  return -1;
}

void Meeting::Await(Word word, uint32_t number) const {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (Behind(word, number) < 0) return;
    Pause();
  }
  const auto begin = Clock::now();
  for (int rank = Behind(word, number); rank >= 0; rank = Behind(word, number)) {
    std::atomic<uint32_t>& its = places_.at(static_cast<size_t>(rank))->*word;
    const uint32_t seen = its.load(std::memory_order_acquire);
    if (Reached(seen, number)) continue;
    Sleep(its, seen);
    pulse::Beat();
    for (size_t other = 0; other < places_.size(); ++other) {
      // It may have done its part, and then ended: only one that has ended without it is lost.
      const auto peer = static_cast<int>(other);
      if (peer == rank_ || !has_ended_(peer)) continue;
      if (!Reached((places_[other]->*word).load(std::memory_order_acquire), number))
        throw error::PeerLostError("another rank was lost: rank " + std::to_string(peer) + " has ended");
    }
    if (Clock::now() - begin > timeout_) {
      throw error::PeerLostError("another rank was lost: rank " + std::to_string(rank) +
                                 " did not take part in a collective for " +
                                 std::to_string(std::lround(base::ToSeconds(timeout_))) + " s");
    }
  }
}

}  // namespace mixln::worker::trainer::fsdp
