// What readers see: the state as it was last committed. The loop publishes here after each commit, so no call
// is ever answered from something that a failed commit takes back. Rows are shared and never change; all
// calls are thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/control/decision.h"
#include "coordinator/state/state.h"

namespace mixln::services::coordinatord {

using SweepRow = std::shared_ptr<const v1::Sweep>;
using TrialRow = std::shared_ptr<const v1::Trial>;
using WorkerRow = std::shared_ptr<const v1::Worker>;

// The rows of one sweep that are newer than some revision.
struct SweepChanges {
  bool exists = false;
  SweepRow sweep;  // null when it is not newer
  std::vector<TrialRow> trials;
  int64_t revision = 0;
  bool ended = false;  // all trials of the sweep have ended
};

class Published {
 public:
  // Called with a row as it was (null: new) and as it is, under the lock, on the loop's thread.
  struct Observer {
    std::function<void(const v1::Trial* before, const v1::Trial& now)> trial = [](auto*, auto&) {};
    std::function<void(const v1::Worker* before, const v1::Worker& now)> worker = [](auto*, auto&) {};
  };

  explicit Published(Observer observer) : observer_(std::move(observer)) {}

  // The loop's side. Replaces everything, without telling the observer.
  void Reset(const coordinator::state::State& state);
  // Takes over the rows that a commit wrote, and these trials'.
  void Publish(const coordinator::state::State& state, const coordinator::control::Changes& changes,
               const std::set<std::string>& trials);
  // Takes over what changes without being stored: reasons for waiting, progress, heartbeats, slots.
  void Refresh(const coordinator::state::State& state);

  // The readers' side. Null when there is none.
  SweepRow Sweep(const std::string& id) const;
  TrialRow Trial(const std::string& id) const;
  std::vector<SweepRow> Sweeps() const;
  // Of one sweep, or of all for an empty id; in grid order.
  std::vector<TrialRow> Trials(const std::string& sweep_id) const;
  std::vector<WorkerRow> Workers() const;
  std::string cluster_id() const;
  uint64_t term() const;

  // Rows of the sweep that came after `revision`; 0: all.
  SweepChanges Since(const std::string& sweep_id, int64_t revision) const;
  // Waits until something newer than `revision` is published, for so long at most. False: Stop was called.
  bool Wait(int64_t revision, std::chrono::milliseconds limit) const;
  // Ends all waiting.
  void Stop();

 private:
  template <typename Row>
  struct Versioned {
    Row row;
    int64_t revision = 0;
  };
  using TrialKey = std::pair<int32_t, std::string>;  // index, id

  void PutSweep(const coordinator::state::State& state, const std::string& id);
  void PutTrial(const coordinator::state::State& state, const std::string& id);
  void PutWorkers(const coordinator::state::State& state);

  const Observer observer_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  int64_t revision_ = 0;
  bool stopped_ = false;
  std::string cluster_id_;
  uint64_t term_ = 0;
  std::map<std::string, Versioned<SweepRow>> sweeps_;
  std::map<std::string, Versioned<TrialRow>> trials_;
  std::map<std::string, std::set<TrialKey>> order_;  // a sweep's trials
  std::map<std::string, WorkerRow> workers_;
};

}  // namespace mixln::services::coordinatord
