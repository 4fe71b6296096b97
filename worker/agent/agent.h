// Carries out what the session orders on this machine, and tells it what happens here: data preparation,
// ranks, their events and logs, metrics, deletions. It never blocks for long and has no thread but the
// one that empties the trash: the daemon's loop calls Poll about ten times a second, or when one of Fds() is
// readable.
//
// It promises: what it must know after a crash is on disk before it is done. A daemon that is killed leaves
// its ranks running, and the next one adopts them (design promise 7).
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file/unique_fd.h"
#include "base/time/time.h"
#include "mixln/v1/worker.pb.h"
#include "worker/agent/event_tail.h"
#include "worker/agent/preparer.h"
#include "worker/agent/rank.h"
#include "worker/agent/state_folder.h"
#include "worker/agent/trash.h"
#include "worker/agent/trial_metrics.h"
#include "worker/pulse/hang.h"
#include "worker/session/event.h"
#include "worker/session/order.h"

namespace mixln::worker::agent {

struct AgentOptions {
  std::filesystem::path state_folder;
  std::filesystem::path artifacts;
  std::string shim_program;  // a program with the subcommand rank-shim: mixln-worker
  std::string trainer;       // mixln-trainer
  std::string prepare;       // mixln-prepare
  // Folders that a sweep's data, tokenizers and initial weights may lie in; none: anywhere.
  std::vector<std::filesystem::path> data_roots = {};
  std::vector<v1::Slot> slots;
  std::string ranks_address = "127.0.0.1";  // IPv4, where ranks on other hosts reach the ranks here
  base::Duration stop_grace = base::Seconds(30);
  pulse::HangLimits hang;
  base::Duration keep_series = base::Seconds(300);  // of /metrics, after their rank's end
  size_t keep_logs = 500;                           // attempts that are over and whose logs are kept
};

class Agent {
 public:
  // Opens the state folder; see StateFolder::Open.
  static absl::StatusOr<std::unique_ptr<Agent>> Open(AgentOptions options);

  const StateFolder& state() const { return state_; }
  const std::string& artifacts_id() const { return artifacts_id_; }  // see IdentifyArtifacts
  const std::shared_ptr<TrialMetrics>& metrics() const { return metrics_; }

  // What an earlier daemon left: an Adopted for each attempt, to be given to the session before anything
  // else.
  absl::StatusOr<std::vector<session::Event>> Adopt();

  // Carries out an order. Answers that are there at once are appended to `answers`; the others come out of
  // Poll. An error means that the daemon cannot go on.
  absl::Status Execute(const session::Order& order, base::Time now, std::vector<session::Event>& answers);

  // What happened since the last call.
  std::vector<session::Event> Poll(base::Time now);

  // For stops that are ordered from now on.
  void SetStopGrace(base::Duration grace) { options_.stop_grace = grace; }

  // Readable when Poll has something to find.
  std::vector<int> Fds() const;

 private:
  struct RunningRank {
    explicit RunningRank(Rank its) : rank(std::move(its)), uplink(rank.folder() / "events.jsonl") {}
    Rank rank;
    EventTail uplink;  // follows the coordinator's cursor
    bool ended = false;
    bool complained = false;  // of its event file
    std::string hung;         // how it hangs, in words for people
  };
  struct Run {
    explicit Run(const pulse::HangLimits& limits) : hang_watch(limits) {}
    AttemptRecord record;
    std::string dataset_dir;
    base::UniqueFd rendezvous_socket;
    std::map<int32_t, RunningRank> ranks;
    // Events of rank 0 for the metrics; unset when that is elsewhere.
    std::optional<EventTail> metrics_tail;
    uint64_t metrics_sequence = 0;
    pulse::HangWatch hang_watch;
    bool deleted =
        false;  // its folders were ordered to be deleted: nothing of it is kept once it is forgotten
    std::optional<base::Time> kill_hung_at;  // once a rank hangs: when its stacks are written
  };

  Agent(AgentOptions options, StateFolder state, std::string artifacts_id);
  std::filesystem::path RankFolder(const session::AttemptKey& key, int32_t rank) const;
  absl::Status Prepare(const v1::Reserve& reserve, std::vector<session::Event>& answers);
  void Start(const session::StartRanks& order, std::vector<session::Event>& answers);
  absl::StatusOr<v1::RankConfig> MakeConfig(const Run& run, const v1::RankPlacement& placement,
                                            const std::string& rendezvous) const;
  void Stop(const session::StopRanks& order, base::Time now);
  session::EventsRead ReadEvents(const session::ReadEvents& order);
  session::LogRead ReadLog(const v1::LogRequest& request) const;
  void Forget(const session::AttemptKey& key);
  void Delete(const std::vector<std::string>& paths);
  void FindHang(const session::AttemptKey& key, Run& run, base::Time now);
  void FollowMetrics(const session::AttemptKey& key, Run& run);
  void RecordMetrics(const session::AttemptKey& key, Run& run);

  AgentOptions options_;
  StateFolder state_;
  std::string artifacts_id_;
  Preparer preparer_;
  std::shared_ptr<TrialMetrics> metrics_;
  std::map<session::AttemptKey, Run> runs_;
  uint64_t deleted_ = 0;  // folders of this daemon that went into the trash
  TrashCollector trash_;
};

}  // namespace mixln::worker::agent
