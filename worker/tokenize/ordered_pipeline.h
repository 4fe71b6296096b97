// One producer, many workers, one consumer, with results in the order of production and a bound on what is in
// flight.
//
//   OrderedPipeline<Batch, Tokens>(8, produce, work, consume)
//
// runs `produce(Batch&) -> StatusOr<bool>` (false: no more) on a thread of its own, `work(Batch) ->
// StatusOr<Tokens>` on 8 threads, and `consume(Tokens) -> Status` on the caller's. Returns the first error in
// the order of production, so that an error does not depend on which thread was faster; after it nothing more
// is produced.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mixln::worker::tokenize {

template <typename In, typename Out>
absl::Status OrderedPipeline(int threads, const std::function<absl::StatusOr<bool>(In&)>& produce,
                             const std::function<absl::StatusOr<Out>(In)>& work,
                             const std::function<absl::Status(Out)>& consume) {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::pair<uint64_t, In>> waiting;
  std::map<uint64_t, absl::StatusOr<Out>> finished;
  uint64_t produced = 0;
  uint64_t consumed = 0;
  bool ended = false;    // nothing more is produced
  bool stopped = false;  // an error was consumed
  const uint64_t limit = static_cast<uint64_t>(threads) * 2 + 2;

  const auto run_producer = [&] {
    for (;;) {
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return stopped || produced - consumed < limit; });
        if (stopped) return;
      }
      In item;
      absl::StatusOr<bool> more = produce(item);
      const std::lock_guard lock(mutex);
      if (more.ok() && *more) {
        waiting.emplace_back(produced++, std::move(item));
      } else {
        if (!more.ok()) finished.emplace(produced++, more.status());
        ended = true;
      }
      changed.notify_all();
      if (ended) return;
    }
  };
  const auto run_worker = [&] {
    for (;;) {
      std::optional<std::pair<uint64_t, In>> item;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return stopped || ended || !waiting.empty(); });
        if (stopped || waiting.empty()) return;
        item.emplace(std::move(waiting.front()));
        waiting.pop_front();
      }
      absl::StatusOr<Out> result = work(std::move(item->second));
      const std::lock_guard lock(mutex);
      finished.emplace(item->first, std::move(result));
      changed.notify_all();
    }
  };

  std::vector<std::thread> pool;
  pool.emplace_back(run_producer);
  for (int i = 0; i < threads; ++i) pool.emplace_back(run_worker);
  absl::Status status;
  while (status.ok()) {
    std::optional<absl::StatusOr<Out>> result;
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return finished.contains(consumed) || (ended && consumed == produced); });
      const auto next = finished.find(consumed);
      if (next == finished.end()) break;
      result.emplace(std::move(next->second));
      finished.erase(next);
    }
    status = result->ok() ? consume(std::move(**result)) : result->status();
    const std::lock_guard lock(mutex);
    ++consumed;
    stopped = !status.ok();
    changed.notify_all();
  }
  for (std::thread& thread : pool) thread.join();
  return status;
}

}  // namespace mixln::worker::tokenize
