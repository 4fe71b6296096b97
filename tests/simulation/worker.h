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
#include "worker/session/session.h"

namespace mixln::simulation {

class Worker {
 public:
  Worker(Scheduler& scheduler, Ledger& ledger, Ranks& ranks, Coordinator& coordinator, std::string id,
         std::string artifacts_id, int slots);

  // The daemon starts, and adopts what it finds.
  void Start();
  // kill -9 of the daemon; of the whole host with its ranks.
  void Crash();
  void CrashHost();
  // Dies after so many more orders and messages.
  void CrashAfter(int steps) { crash_after_ = steps; }
  // SIGTERM: hands its attempts back, then ends.
  void ShutDown();
  bool up() const { return session_ != nullptr; }
  const std::string& id() const { return id_; }

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

  void Tick(uint64_t life);
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
  // On disk.
  uint64_t instance_ = 0;
  std::string cluster_;
  uint64_t term_ = 0;
  std::map<AttemptKey, Record> records_;
  // Of the daemon.
  std::unique_ptr<worker::session::Session> session_;
  std::shared_ptr<Stream> stream_;
  uint64_t life_ = 0;
  int crash_after_ = 0;
  bool draining_ = false;
};

}  // namespace mixln::simulation
