// The curve database of a simulated coordinator (coordinator/store/curve_store): what the core accepted of
// ranks' events waits for a commit of its own, once a second, or at once where a worker waits for it. A crash
// takes what waits; while commits fail, nothing is said to be stored.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ledger.h"
#include "scheduler.h"
#include "standstill.h"

namespace mixln::simulation {

class Curves {
 public:
  // `still`: of the process whose thread commits.
  Curves(Scheduler& scheduler, Ledger& ledger, Standstill& still, bool acknowledges_early)
      : scheduler_(scheduler), ledger_(ledger), still_(still), acknowledges_early_(acknowledges_early) {}

  using Stored = std::function<void(const v1::EventAck&)>;
  // `stored` is called with what is on disk of the rank then.
  void Append(const v1::EventBatch& batch, Stored stored);
  // What was appended is waited for.
  void Hurry();
  // What is on disk of a rank.
  v1::EventAck Cursor(const std::string& trial_id, const v1::Fence& fence, int32_t rank) const;
  // What a crash takes with it.
  void LoseQueue();

  bool fail = false;  // whether commits fail

 private:
  void CommitSoon(double seconds);
  void Commit();
  v1::EventAck Store(const v1::EventBatch& batch);

  Scheduler& scheduler_;
  Ledger& ledger_;
  Standstill& still_;
  const bool acknowledges_early_;
  std::vector<std::pair<v1::EventBatch, Stored>> queue_;
  uint64_t commits_ =
      0;  // counts those that were begun or given up: a later one takes an earlier one's place
  std::map<std::tuple<std::string, uint64_t, int32_t>, uint64_t> cursors_;  // by trial, epoch and rank
};

}  // namespace mixln::simulation
