// What was promised to somebody, and whether it still holds: the invariants. Kept apart from the coordinator,
// from what it says on the wire and shows to readers only.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "mixln/v1/session.pb.h"
#include "services/coordinatord/published.h"
#include "worker/session/attempt.h"

namespace mixln::simulation {

class Ledger {
 public:
  // A round of the coordinator begins: what was said before it binds it.
  void BeginRound();
  // Answered OK.
  void SweepAccepted(const std::string& sweep_id, int trials) { sweeps_[sweep_id] = trials; }
  // A Reserve leaves the coordinator.
  void Reserved(const v1::Reserve& reserve);
  // A batch was taken in, as its worker sent it.
  void EventsAccepted(const v1::EventBatch& batch);
  // A rank's process starts on a slot; it ends.
  void RankStarted(const std::string& worker, int slot, const worker::session::AttemptKey& key);
  void RankEnded(const std::string& worker, int slot) { running_.erase({worker, slot}); }
  // Which artifacts folder a worker sees.
  void SeesArtifacts(const std::string& worker, const std::string& id) { artifacts_[worker] = id; }
  // Folders below the artifacts folder that the worker sees.
  void CheckpointWritten(const std::string& worker, const std::string& path);
  void CheckpointDeleted(const std::string& worker, const std::string& path);
  bool HasCheckpoint(const std::string& worker, const std::string& path) const;

  // Compares what readers see with all of it.
  void Check(const services::coordinatord::Published& published);

 private:
  struct Promise {
    uint64_t epoch = 0;           // newest reserved
    int64_t checkpoint_step = 0;  // newest acknowledged since it last started anew
  };
  struct Seen {
    int attempts = 0;
    int64_t checkpoint_step = 0;
    uint64_t anew_epoch = 0;  // of the attempt that last started anew, where workers' folders differ
    v1::TrialState terminal = v1::TRIAL_STATE_UNSPECIFIED;
  };
  bool ArtifactsDiffer() const;
  void CheckTrial(const v1::Trial& trial);

  std::map<std::string, int> sweeps_;            // number of trials by id
  std::map<std::string, Promise> promised_;      // by trial id, before the round
  std::map<std::string, Promise> fresh_;         // and in it
  std::map<std::string, Seen> seen_;             // by trial id
  std::map<uint64_t, std::string> epoch_owner_;  // trial by epoch
  std::map<std::pair<std::string, int>, worker::session::AttemptKey> running_;  // by worker and slot
  std::map<std::string, std::string> artifacts_;                                // by worker
  std::map<std::string, std::string> checkpoints_;  // the artifacts folder by path
};

}  // namespace mixln::simulation
