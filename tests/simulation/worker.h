// A worker's host in a simulation: the production session, with an agent that prepares, starts, stops and
// reads simulated ranks, and a disk that outlives the daemon.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "coordinator.h"
#include "network.h"
#include "ranks.h"
#include "standstill.h"
#include "worker/session/session.h"

namespace mixln::simulation {

class Worker {
 public:
  Worker(Scheduler& scheduler, Ledger& ledger, Ranks& ranks, Coordinator& coordinator, std::string id,
         std::string artifacts_id, int slots);

  // The daemon starts, unless its host is away, and adopts what it finds.
  void Start();
  // For so many seconds from now nobody can start it.
  void StayAway(double seconds) { away_until_ = scheduler_.seconds() + seconds; }
  // kill -9 of the daemon; of the whole host with its ranks.
  void Crash();
  void CrashHost();
  // Dies after so many more orders and messages.
  void CrashAfter(int steps) { crash_after_ = steps; }
  // SIGTERM: hands its attempts back, then ends.
  void ShutDown();
  // The daemon does nothing for so long.
  void StandStill(double seconds);
  // No attempt can be recorded for so long.
  void FillDisk(double seconds) { full_until_ = scheduler_.seconds() + seconds; }
  bool up() const { return session_ != nullptr; }
  const std::string& id() const { return id_; }
  // Whether it has anything of an attempt, be it logs.
  bool HasFolders() const { return !records_.empty() || !logs_.empty(); }

  Link link;
  // The stream breaks, or starves behind a partition.
  void Break();
  void Starve();

 private:
  // What its state folder holds of an attempt.
  struct Record {
    v1::Reserve reserve;
    bool started = false;
    std::optional<worker::session::StopRequest> stop;
  };

  base::Time steady() const { return scheduler_.now().steady + boot_; }
  void Tick(uint64_t life);
  // The daemon is gone.
  void End(bool silently);
  void Connect();
  void Disconnected();
  void Happen(const worker::session::Event& event);
  // So many seconds from now, unless this daemon is gone by then.
  void Later(double delay, worker::session::Event event);
  void Obey(const worker::session::Order& order);
  void Do(const worker::session::Prepare& order);
  void Do(const worker::session::StartRanks& order);
  void Do(const worker::session::StopRanks& order);
  void Do(const worker::session::ReadEvents& order);
  void Do(const worker::session::Forget& order);
  void Do(const worker::session::DeleteFolders& order);
  void Do(const worker::session::ReadLog&) {}
  void Do(const worker::session::ClaimArtifacts&) {}
  void Do(const worker::session::KeepTerm& order) {
    cluster_ = order.cluster_id;
    term_ = order.term;
  }
  void Do(const worker::session::ShowMetrics&) {}
  void Do(const worker::session::DropMetrics&) {}
  void TellEnd(const AttemptKey& key, int rank);
  bool Step();

  Scheduler& scheduler_;
  Ledger& ledger_;
  Ranks& ranks_;
  Coordinator& coordinator_;
  const std::string id_;
  const std::string artifacts_id_;
  const int slots_;
  // Of the host: each has its own steady clock, which begins anew with it.
  base::Duration boot_;
  double away_until_ = 0;
  double full_until_ = 0;
  // On disk.
  uint64_t instance_ = 0;
  std::string cluster_;
  uint64_t term_ = 0;
  std::map<AttemptKey, Record> records_;
  std::map<AttemptKey, std::string> logs_;  // of attempts that are over: their trial's folder
  // Of the daemon.
  std::unique_ptr<worker::session::Session> session_;
  std::shared_ptr<Stream> stream_;
  Standstill still_;
  std::set<AttemptKey> deleted_;  // of them nothing is kept once they are over
  uint64_t life_ = 0;
  int crash_after_ = 0;
  bool draining_ = false;
};

}  // namespace mixln::simulation
