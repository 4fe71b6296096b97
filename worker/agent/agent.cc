#include "worker/agent/agent.h"

#include <arpa/inet.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/failpoint/failpoint.h"
#include "base/file/below.h"
#include "base/file/durable.h"
#include "worker/agent/artifacts.h"
#include "worker/agent/log_file.h"
#include "worker/agent/rank_end.h"
#include "worker/agent/rendezvous.h"

namespace mixln::worker::agent {
namespace {

namespace fs = std::filesystem;
using session::AttemptKey;

// That threads get to write their stacks in before a rank that hangs is killed.
constexpr base::Duration kStackTime = base::Seconds(1);
constexpr int kMetricEvents = 1024;  // of one rank in one Poll

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
// Clang before 17 does not deduce aggregates by itself.
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

std::string Hostname() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

// "rank 1 on gpu-3": how a message about a rank begins.
std::string Named(int32_t rank) {
  return absl::StrCat("rank ", rank, " on ", Hostname());
}

session::PrepareFailed PrepareFailure(const AttemptKey& key, v1::FailureCause cause,
                                      const absl::Status& status) {
  return {key, cause, std::string(status.message())};
}

}  // namespace

Agent::Agent(AgentOptions options, StateFolder state, std::string artifacts_id)
    : options_(std::move(options)),
      state_(std::move(state)),
      artifacts_id_(std::move(artifacts_id)),
      preparer_({options_.prepare, state_.root() / "prepare", options_.artifacts / "data",
                 options_.data_roots, options_.hang}),
      metrics_(std::make_shared<TrialMetrics>(options_.keep_series)),
      trash_(options_.artifacts, state_.worker_id()) {}

absl::StatusOr<std::unique_ptr<Agent>> Agent::Open(AgentOptions options) {
  options.artifacts = fs::absolute(options.artifacts).lexically_normal();
  in_addr ignored_address{};
  if (inet_pton(AF_INET, options.ranks_address.c_str(), &ignored_address) != 1)
    return absl::InvalidArgumentError(absl::StrCat("the ranks' address \"", options.ranks_address,
                                                   "\" is no IPv4 address, such as 10.0.0.7"));
  auto state = StateFolder::Open(options.state_folder);
  if (!state.ok()) return state.status();
  auto id = IdentifyArtifacts(options.artifacts, state->cluster_id(),
                              absl::StrCat(state->worker_id(), "-", state->instance()));
  if (!id.ok()) return id.status();
  std::error_code ignored;
  fs::remove_all(state->root() / "prepare", ignored);  // requests of a daemon that is gone
  return std::unique_ptr<Agent>(new Agent(std::move(options), std::move(*state), *std::move(id)));
}

fs::path Agent::RankFolder(const AttemptKey& key, int32_t rank) const {
  return state_.AttemptFolder(key) / absl::StrCat("rank-", rank);
}

absl::StatusOr<std::vector<session::Event>> Agent::Adopt() {
  auto records = state_.LoadAttempts();
  if (!records.ok()) return records.status();
  std::vector<session::Event> events;
  for (AttemptRecord& record : *records) {
    if (record.over) continue;
    const AttemptKey key = session::KeyOf(record.reserve);
    base::failpoint::Hit("worker.adopt", session::ToString(key));
    events.push_back(session::Adopted{record.reserve, record.started, record.stop});
    Run& run = runs_.try_emplace(key, options_.hang).first->second;
    run.record = std::move(record);
    if (!run.record.started) continue;
    for (const v1::RankPlacement& placement : run.record.reserve.ranks())
      run.ranks.emplace(placement.rank(), RunningRank(Rank::Adopt(RankFolder(key, placement.rank()))));
    FollowMetrics(key, run);
    spdlog::info("adopting attempt {}", session::ToString(key));
  }
  state_.RemoveOldAttempts(options_.keep_logs);
  return events;
}

absl::Status Agent::Execute(const session::Order& order, base::Time now,
                            std::vector<session::Event>& answers) {
  absl::Status status;
  std::visit(Overloaded{
                 [&](const session::Prepare& prepare) { status = Prepare(prepare.reserve, answers); },
                 [&](const session::StartRanks& start) { Start(start, answers); },
                 [&](const session::StopRanks& stop) { Stop(stop, now); },
                 [&](const session::ReadEvents& read) { answers.emplace_back(ReadEvents(read)); },
                 [&](const session::ReadLog& read) { answers.emplace_back(ReadLog(read.request)); },
                 [&](const session::Forget& forget) { Forget(forget.key); },
                 [&](const session::DeleteFolders& folders) { Delete(folders.paths); },
                 [&](const session::ClaimArtifacts& claim) {
                   status = ClaimArtifacts(options_.artifacts, claim.cluster_id);
                   if (status.ok()) trash_.Collect();  // what an earlier daemon left
                 },
                 [&](const session::KeepTerm& keep) { status = state_.KeepTerm(keep.cluster_id, keep.term); },
                 [&](const session::ShowMetrics& show) { metrics_->Show(show.visible); },
                 [&](const session::DropMetrics& drop) { metrics_->Drop(drop.key); },
             },
             order);
  return status;
}

absl::Status Agent::Prepare(const v1::Reserve& reserve, std::vector<session::Event>& answers) {
  const AttemptKey key = session::KeyOf(reserve);
  Run& run = runs_.try_emplace(key, options_.hang).first->second;
  run.record.reserve = reserve;
  if (auto kept = state_.KeepAttempt(run.record); !kept.ok()) {
    answers.emplace_back(PrepareFailure(key, v1::FAILURE_CAUSE_IO, kept));
    return absl::OkStatus();
  }
  if (const std::string& from = reserve.spec().init().from(); !from.empty()) {
    if (auto allowed = base::CheckBelow(from, options_.data_roots); !allowed.ok()) {
      answers.emplace_back(PrepareFailure(key, v1::FAILURE_CAUSE_BAD_CONFIG, allowed));
      return absl::OkStatus();
    }
  }
  base::failpoint::Hit("worker.prepare", session::ToString(key));
  if (auto asked = preparer_.Request(key, reserve.spec().data()); !asked.ok())
    answers.emplace_back(PrepareFailure(key, v1::FAILURE_CAUSE_IO, asked));
  return absl::OkStatus();
}

absl::StatusOr<v1::RankConfig> Agent::MakeConfig(const Run& run, const v1::RankPlacement& placement,
                                                 const std::string& rendezvous) const {
  const v1::Reserve& reserve = run.record.reserve;
  const auto slot = std::find_if(options_.slots.begin(), options_.slots.end(),
                                 [&](const v1::Slot& its) { return its.index() == placement.slot(); });
  if (slot == options_.slots.end())
    return absl::InternalError(absl::StrCat("there is no slot ", placement.slot()));
  auto attempt_dir = AttemptDir(options_.artifacts, reserve.trial_dir(), reserve.fence());
  if (!attempt_dir.ok()) return attempt_dir.status();
  if (auto made = base::MakeFolders(*attempt_dir); !made.ok()) return made;
  v1::RankConfig config;
  config.set_trial_id(reserve.trial_id());
  *config.mutable_fence() = reserve.fence();
  config.set_rank(placement.rank());
  config.set_world_size(reserve.world_size());
  config.set_rendezvous(rendezvous);
  *config.mutable_spec() = reserve.spec();
  config.set_dataset_dir(run.dataset_dir);
  config.set_attempt_dir(attempt_dir->string());
  if (!reserve.resume_from().empty()) {
    // Else a checkpoint might be taken for one that is gone.
    if (auto there = CheckArtifacts(options_.artifacts); !there.ok()) return there;
    auto resume_from = ArtifactPath(options_.artifacts, reserve.resume_from());
    if (!resume_from.ok()) return resume_from.status();
    config.set_resume_from(resume_from->string());
  }
  config.set_threads(std::max(1, slot->cpus_size()));
  config.set_gpu(slot->gpu());
  config.set_address(options_.ranks_address);
  return config;
}

void Agent::Start(const session::StartRanks& order, std::vector<session::Event>& answers) {
  const auto found = runs_.find(order.key);
  if (found == runs_.end()) return;
  Run& run = found->second;
  run.record.started = true;
  absl::Status status = state_.KeepAttempt(run.record);
  for (const v1::RankPlacement& placement : run.record.reserve.ranks()) {
    const auto start = [&]() -> absl::StatusOr<Rank> {
      if (!status.ok()) return status;
      RankLaunch launch;
      launch.shim_program = options_.shim_program;
      launch.trainer = options_.trainer;
      auto config = MakeConfig(run, placement, order.rendezvous);
      if (!config.ok()) return config.status();
      launch.config = std::move(*config);
      auto log = LogPath(options_.artifacts, run.record.reserve.trial_dir(), run.record.reserve.fence(),
                         placement.rank());
      if (!log.ok()) return log.status();
      launch.log = std::move(*log);
      for (const v1::Slot& slot : options_.slots)
        if (slot.index() == placement.slot()) launch.cpus.assign(slot.cpus().begin(), slot.cpus().end());
      if (placement.rank() == 0) launch.rendezvous_fd = run.rendezvous_socket.get();
      return Rank::Start(RankFolder(order.key, placement.rank()), launch);
    };
    auto rank = start();
    if (rank.ok()) {
      run.ranks.emplace(placement.rank(), RunningRank(std::move(*rank)));
      continue;
    }
    status = rank.status();
    answers.emplace_back(session::RankEnded{
        order.key,
        placement.rank(),
        {v1::ATTEMPT_OUTCOME_FAILED, v1::FAILURE_CAUSE_IO,
         absl::StrCat(Named(placement.rank()), " could not be started: ", std::string(status.message()))},
        0});
  }
  run.rendezvous_socket.reset();
  FollowMetrics(order.key, run);
  answers.insert(answers.begin(), session::RanksStarted{order.key});
  spdlog::info("started attempt {}", session::ToString(order.key));
}

void Agent::Stop(const session::StopRanks& order, base::Time now) {
  const auto found = runs_.find(order.key);
  if (found == runs_.end()) return;
  Run& run = found->second;
  base::failpoint::Hit("worker.stop", session::ToString(order.key));
  spdlog::info("stopping attempt {}: {}", session::ToString(order.key), order.stop.reason);
  preparer_.Abandon(order.key);
  run.rendezvous_socket.reset();
  run.record.stop = order.stop;
  // Not fatal: without it, a daemon that restarts right now learns of the stop from the coordinator again.
  if (auto kept = state_.KeepAttempt(run.record); !kept.ok()) spdlog::warn("{}", std::string(kept.message()));
  for (auto& [number, rank] : run.ranks)
    if (!rank.ended) rank.rank.Stop(order.stop.mode, options_.stop_grace, now);
}

session::EventsRead Agent::ReadEvents(const session::ReadEvents& order) {
  session::EventsRead read{order.key, order.rank, {}};
  const auto run = runs_.find(order.key);
  if (run == runs_.end()) return read;
  const auto found = run->second.ranks.find(order.rank);
  if (found == run->second.ranks.end()) return read;
  RunningRank& rank = found->second;
  read.events = rank.uplink.Read(order.after, order.limit);
  if (!rank.uplink.problem().empty() && !std::exchange(rank.complained, true))
    spdlog::error("events of attempt {} cannot be read on, and its curves end here: {}",
                  session::ToString(order.key), rank.uplink.problem());
  return read;
}

session::LogRead Agent::ReadLog(const v1::LogRequest& request) const {
  auto log = LogPath(options_.artifacts, request.trial_dir(), request.fence(), request.rank());
  if (log.ok()) return {ReadLogChunk(*log, request)};
  v1::LogChunk chunk;
  chunk.set_request_id(request.request_id());
  chunk.set_end(true);
  chunk.set_error(std::string(log.status().message()));
  return {chunk};
}

void Agent::Forget(const AttemptKey& key) {
  preparer_.Abandon(key);
  const auto found = runs_.find(key);
  if (found == runs_.end()) return;
  base::failpoint::Hit("worker.forget", session::ToString(key));
  AttemptRecord record = found->second.record;
  const bool deleted = found->second.deleted;
  runs_.erase(found);
  if (deleted) {
    // A rank that lived on for a while may have written since.
    Delete({record.reserve.trial_dir()});
    return;
  }
  record.over = true;
  if (auto kept = state_.KeepAttempt(record); !kept.ok()) spdlog::warn("{}", std::string(kept.message()));
  state_.RemoveOldAttempts(options_.keep_logs);
}

void Agent::Delete(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    const std::string name = absl::StrCat(state_.worker_id(), "-", state_.instance(), "-", ++deleted_);
    if (auto deleted = DeleteArtifact(options_.artifacts, path, name); !deleted.ok())
      spdlog::error("{}", std::string(deleted.message()));
    // Logs of a deleted trial's attempts go too.
    for (const AttemptKey& key : state_.AttemptsBelow(path)) {
      if (const auto run = runs_.find(key); run != runs_.end()) {
        run->second.deleted = true;
      } else {
        state_.RemoveAttempt(key);
      }
    }
  }
  trash_.Collect();
}

void Agent::FindHang(const AttemptKey& key, Run& run, base::Time now) {
  if (run.kill_hung_at) {
    for (auto& [number, rank] : run.ranks)
      if (!rank.hung.empty() && now >= *run.kill_hung_at) rank.rank.Stop(v1::STOP_MODE_NOW, {}, now);
    return;
  }
  if (run.record.stop) return;  // a stop has its own limits
  for (auto& [number, rank] : run.ranks) {
    if (rank.ended) run.hang_watch.Forget(number);
    // Until its shim has let it go, which takes room on the disk, there is nothing that could hang.
    if (rank.ended || rank.rank.rank_pid() == 0) continue;
    if (const auto reading = pulse::Read(rank.rank.folder() / pulse::kFile))
      run.hang_watch.See(number, *reading, now);
  }
  const auto hang = run.hang_watch.Judge(now);
  if (!hang) return;
  std::string& words = run.ranks.at(hang->rank).hung;
  words = absl::StrCat(Named(hang->rank), " hangs: ", hang->what,
                       "; the stacks of the ranks are at the end of their logs");
  spdlog::error("attempt {}: {}", session::ToString(key), words);
  for (auto& [number, rank] : run.ranks)
    if (!rank.ended) rank.rank.AskForStacks();
  run.kill_hung_at = now + kStackTime;
}

void Agent::FollowMetrics(const AttemptKey& key, Run& run) {
  const auto rank = run.ranks.find(0);
  if (rank == run.ranks.end()) return;
  run.metrics_tail.emplace(rank->second.rank.folder() / "events.jsonl");
  metrics_->Add(key, run.record.reserve.labels());
}

void Agent::RecordMetrics(const AttemptKey& key, Run& run) {
  if (!run.metrics_tail) return;
  for (const v1::RankEvent& event : run.metrics_tail->Read(run.metrics_sequence, kMetricEvents)) {
    metrics_->Record(key, event);
    run.metrics_sequence = event.sequence();
  }
}

std::vector<session::Event> Agent::Poll(base::Time now) {
  Preparer::Result prepared = preparer_.Poll(now);
  std::vector<session::Event> events = std::move(prepared.events);
  for (auto& [key, dataset_dir] : prepared.prepared) {
    const auto found = runs_.find(key);
    if (found == runs_.end()) continue;
    base::failpoint::Hit("worker.prepared", session::ToString(key));
    found->second.dataset_dir = std::move(dataset_dir);
    session::Prepared ready{key, ""};
    const v1::Reserve& reserve = found->second.record.reserve;
    const bool has_first = std::any_of(reserve.ranks().begin(), reserve.ranks().end(),
                                       [](const v1::RankPlacement& rank) { return rank.rank() == 0; });
    if (reserve.world_size() > 1 && has_first) {
      auto listening = ListenForRanks(options_.ranks_address);
      if (!listening.ok()) {
        events.emplace_back(PrepareFailure(key, v1::FAILURE_CAUSE_IO, listening.status()));
        continue;
      }
      found->second.rendezvous_socket = std::move(listening->first);
      ready.rendezvous = std::move(listening->second);
    }
    events.emplace_back(std::move(ready));
  }
  for (auto& [key, run] : runs_) {
    FindHang(key, run, now);
    for (auto& [number, rank] : run.ranks) {
      if (rank.ended || !rank.rank.Poll(now)) continue;
      rank.ended = true;
      base::failpoint::Hit("worker.rank ended", session::ToString(key));
      const fs::path& folder = rank.rank.folder();
      session::RankEnd end = ReadRankEnd(folder);
      if (!rank.hung.empty()) {
        end = {v1::ATTEMPT_OUTCOME_FAILED, v1::FAILURE_CAUSE_HANG, rank.hung};
      } else if (end.outcome == v1::ATTEMPT_OUTCOME_FAILED) {
        end.message = absl::StrCat(Named(number), " ", end.message);
      }
      spdlog::info("rank {} of attempt {} ended: {}", number, session::ToString(key),
                   end.message.empty() ? v1::AttemptOutcome_Name(end.outcome) : end.message);
      if (number == 0) metrics_->End(key, now);
      events.emplace_back(
          session::RankEnded{key, number, std::move(end), ReadLastEvent(folder / "events.jsonl").sequence});
    }
    RecordMetrics(key, run);
  }
  metrics_->Tick(now);
  return events;
}

std::vector<int> Agent::Fds() const {
  std::vector<int> fds = preparer_.Fds();
  for (const auto& [key, run] : runs_)
    for (const auto& [number, rank] : run.ranks)
      if (!rank.ended && rank.rank.pidfd() >= 0) fds.push_back(rank.rank.pidfd());
  return fds;
}

}  // namespace mixln::worker::agent
