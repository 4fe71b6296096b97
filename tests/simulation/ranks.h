// Ranks as processes that train: gangs that step together, write events and checkpoints, fail and are
// stopped. They live on hosts and do not need a daemon.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ledger.h"
#include "scheduler.h"
#include "worker/session/event.h"

namespace mixln::simulation {

using worker::session::AttemptKey;
using worker::session::RankEnd;

inline constexpr int kEvaluateEvery = 5;  // steps

struct Rank {
  std::string host;
  int slot = 0;
  int64_t step = 0;
  std::vector<v1::RankEvent> events;  // its file; outlives it
  std::optional<RankEnd> end;         // set once its process is gone
  std::optional<double> hangs_since;  // it does nothing any more
  std::function<void()> on_end;       // tells the daemon, if there is one
};

// All ranks of all hosts, so that a gang can meet.
class Ranks {
 public:
  Ranks(Scheduler& scheduler, Ledger& ledger) : scheduler_(scheduler), ledger_(ledger) {}

  void Start(const v1::Reserve& reserve, const v1::RankPlacement& placement, std::function<void()> on_end);
  Rank* Find(const AttemptKey& key, int rank);
  // It ends: with a checkpoint after a while, or soon.
  void Stop(const AttemptKey& key, int rank, v1::StopMode mode);
  void Kill(const AttemptKey& key, int rank, v1::FailureCause cause);
  void KillHost(const std::string& host);
  // What the host's daemon does at times: kills those that have hung for too long.
  void KillHung(const std::string& host);
  // For so many seconds the host's ranks do nothing: they stand still with it, or wait for room on its disk.
  void Hold(const std::string& host, double seconds);
  // Kills one that lives, if there is one.
  void KillAny(v1::FailureCause cause);
  void Forget(const AttemptKey& key, int rank) { ranks_.erase({key, rank}); }
  bool faults = true;  // whether ranks fail by themselves

 private:
  using Id = std::pair<AttemptKey, int>;
  void Train(const Id& id, const v1::Reserve& reserve, double waited);
  // After one update of the whole gang.
  void Updated(const Id& id, const v1::Reserve& reserve);
  void FindDamaged(const Id& id, const v1::Reserve& reserve);
  void Checkpoint(const Id& id, const v1::Reserve& reserve);
  void End(const Id& id, RankEnd end);
  v1::RankEvent& Append(Rank& rank);

  Scheduler& scheduler_;
  Ledger& ledger_;
  std::map<Id, Rank> ranks_;
  std::map<Id, v1::Reserve> reserves_;
  std::set<Id> finished_;                     // outlives what is known of them otherwise
  std::map<std::string, double> held_until_;  // by host
};

}  // namespace mixln::simulation
