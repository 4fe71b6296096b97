// What was promised to somebody, and whether it still holds: the invariants. Kept apart from the coordinator,
// from what it says on the wire and shows to readers only.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "artifacts.h"
#include "mixln/v1/session.pb.h"
#include "requests.h"
#include "services/coordinatord/published.h"
#include "worker/session/attempt.h"

namespace mixln::simulation {

class Ledger {
 public:
  // Answered OK.
  void SweepAccepted(const std::string& sweep_id, int trials) { sweeps_[sweep_id] = trials; }
  Requests& requests() { return requests_; }
  // A Reserve leaves the coordinator for a worker.
  void Reserved(const v1::Reserve& reserve);
  // A batch was taken in, as its worker sent it.
  void EventsAccepted(const v1::EventBatch& batch);
  // A rank's events are on the coordinator's disk up to there; a worker is told so; it is told where to go
  // on.
  void EventsStored(const v1::EventAck& stored);
  // One of them, of rank 0, goes into the trial's curve.
  void Recorded(const std::string& trial, const v1::RankEvent& event);
  void EventsAcknowledged(const v1::EventAck& ack);
  void CursorSent(const v1::EventAck& cursor) const;
  // A rank's process starts on a slot; it ends, with so many events in its file.
  void RankStarted(const std::string& worker, int slot, const worker::session::AttemptKey& key);
  void RankEnded(const std::string& worker, int slot, const worker::session::AttemptKey& key, int rank,
                 uint64_t events);
  Artifacts& artifacts() { return artifacts_; }

  // A round of the coordinator is over, or it has come back: compares what readers see with all of it.
  void Check(const services::coordinatord::Published& published);

 private:
  // What a trial's rank 0 could resume from, newest last: as many as are kept at least.
  struct Kept {
    std::string path;
    int64_t step = 0;
  };
  struct Account {
    uint64_t epoch = 0;  // newest reserved, before the round
    uint64_t anew = 0;   // newest that began anew though there was a checkpoint
    int attempts = 0;
    v1::TrialState terminal = v1::TRIAL_STATE_UNSPECIFIED;
    std::string dir;         // below the artifacts folder, once reserved
    std::vector<Kept> kept;  // acknowledged, or shown to readers
  };
  // An epoch and what it was given to.
  struct Given {
    std::string trial;
    uint64_t term = 0;
    std::map<int, std::pair<std::string, int>> ranks;  // worker and slot, as far as workers were told
  };
  // What is on disk of a trial's curve: its steps, and the one after which it begins.
  struct Curve {
    std::set<int64_t> steps;
    int64_t begins_after = 0;
  };
  using RankKey = std::tuple<std::string, uint64_t, int>;  // trial, epoch, rank

  static void Keep(Account& account, Kept checkpoint);
  // The newest one that is whole; null: none.
  const Kept* ResumePoint(const Account& account) const;
  void CheckReserve(const v1::Reserve& reserve);
  void CheckTrial(const v1::Trial& trial);
  void CheckAttempts(const v1::Trial& trial) const;
  void CheckCheckpoints(const v1::Trial& trial, Account& account) const;
  void CheckEvents(const v1::Trial& trial) const;
  void CheckCurve(const v1::Trial& trial) const;

  std::map<std::string, int> sweeps_;        // number of trials by id
  std::map<std::string, Account> accounts_;  // by trial id
  std::map<uint64_t, Given> given_;          // by epoch
  std::vector<v1::Reserve> reserved_;        // in this round
  std::map<RankKey, uint64_t> written_;      // events in the files of ranks that have ended
  std::map<RankKey, uint64_t> stored_;
  std::map<RankKey, uint64_t> acknowledged_;
  std::map<std::string, Curve> curves_;                                         // by trial
  std::map<std::pair<std::string, int>, worker::session::AttemptKey> running_;  // by worker and slot
  Requests requests_;
  Artifacts artifacts_;
};

}  // namespace mixln::simulation
