#include "worker.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace mixln::simulation {

namespace session = worker::session;

Worker::Worker(Scheduler& scheduler, Ledger& ledger, Ranks& ranks, Coordinator& coordinator, std::string id,
               std::string artifacts_id, int slots)
    : scheduler_(scheduler),
      ledger_(ledger),
      ranks_(ranks),
      coordinator_(coordinator),
      id_(std::move(id)),
      artifacts_id_(std::move(artifacts_id)),
      slots_(slots),
      boot_(base::Seconds(scheduler.Between(0, 1e6))),
      still_(scheduler) {
  ledger_.artifacts().Sees(id_, artifacts_id_);
}

void Worker::Start() {
  if (up() || scheduler_.seconds() < away_until_) return;
  if (scheduler_.traces) scheduler_.Trace(absl::StrCat(id_, "'s daemon starts"));
  session::Options options;
  options.identity.set_worker_id(id_);
  options.identity.set_hostname(id_);
  options.identity.set_version("1.0.0");
  options.identity.set_instance(++instance_);
  options.identity.set_artifacts_id(artifacts_id_);
  for (int i = 0; i < slots_; ++i) {
    v1::Slot& slot = *options.identity.add_slots();
    slot.set_index(i);
    slot.set_device(v1::DEVICE_CPU);
  }
  options.cluster_id = cluster_;
  options.highest_term = term_;
  session_ = std::make_unique<session::Session>(options, steady());
  draining_ = false;
  const uint64_t life = ++life_;
  const auto records = records_;
  for (const auto& [key, record] : records) {
    Happen(session::Adopted{record.reserve, record.started, record.stop});
    if (!record.started) continue;
    for (const v1::RankPlacement& placement : record.reserve.ranks()) {
      if (life != life_) return;
      const Rank* rank = ranks_.Find(key, placement.rank());
      if (rank != nullptr && !rank->end) continue;
      TellEnd(key, placement.rank());
    }
  }
  Tick(life);
  if (life == life_) Connect();
}

void Worker::Crash() {
  End(scheduler_.Chance(0.2));
}

void Worker::CrashHost() {
  End(/*silently=*/true);
  ranks_.KillHost(id_);
  boot_ = base::Seconds(scheduler_.Between(0, 1000));
}

void Worker::End(bool silently) {
  if (!up()) return;
  if (scheduler_.traces) scheduler_.Trace(absl::StrCat(id_, "'s daemon dies"));
  ++life_;
  crash_after_ = 0;
  session_.reset();
  still_.Die();
  deleted_.clear();
  if (stream_) stream_->Close(kWorker, silently);
  stream_.reset();
}

void Worker::StandStill(double seconds) {
  if (!up()) return;
  if (scheduler_.traces) scheduler_.Trace(absl::StrCat(id_, "'s daemon stands still for ", seconds, " s"));
  still_.Begin(seconds);
}

void Worker::ShutDown() {
  if (!up()) return;
  draining_ = true;
  Later(0, session::ShutDown{});
  scheduler_.After(scheduler_.Between(10, 30), [this, life = life_] {
    if (life == life_) Crash();
  });
}

void Worker::Break() {
  if (stream_) stream_->Break();
}

void Worker::Starve() {
  if (stream_) stream_->Starve();
}

void Worker::Tick(uint64_t life) {
  if (life != life_) return;
  if (still_.rest() > 0) {
    scheduler_.After(still_.TimerDelay(), [this, life] { Tick(life); });
    return;
  }
  ranks_.KillHung(id_);
  Happen(session::Tick{});
  if (life != life_) return;
  if (draining_ && session_->attempts().empty()) return Crash();
  scheduler_.After(scheduler_.Between(0.2, 0.4), [this, life] { Tick(life); });
}

void Worker::Connect() {
  if (link.blocked[kWorker] || link.blocked[kCoordinator] || !coordinator_.up() || still_.rest() > 0) {
    scheduler_.After(scheduler_.Between(0.2, 2), [this, life = life_] {
      if (life == life_) Connect();
    });
    return;
  }
  const auto stream = std::make_shared<Stream>(scheduler_, link);
  stream_ = stream;
  const auto if_current = [this, held = std::weak_ptr(stream)](std::function<void()> action) {
    still_.Do([this, held, action = std::move(action)] {
      if (const auto stream = held.lock(); stream != nullptr && stream == stream_) action();
    });
  };
  stream->on_closed[kWorker] = [this, if_current] { if_current([this] { Disconnected(); }); };
  coordinator_.Accept(stream, [this, if_current](const v1::CoordinatorMessage& message) {
    if_current([this, message] { Happen(session::Received{message}); });
  });
  Happen(session::Connected{});
}

void Worker::Disconnected() {
  stream_.reset();
  const uint64_t life = life_;
  Happen(session::Disconnected{});
  scheduler_.After(scheduler_.Between(0.1, 2), [this, life] {
    if (life == life_) Connect();
  });
}

bool Worker::Step() {
  if (crash_after_ == 0 || --crash_after_ > 0) return true;
  Crash();
  return false;
}

void Worker::Happen(const session::Event& event) {
  if (!up()) return;
  const uint64_t life = life_;
  session::Output output = session_->Step(event, steady());
  for (const session::Order& order : output.orders) {
    if (!Step()) return;
    Obey(order);
    if (life != life_) return;
  }
  for (v1::WorkerMessage& message : output.messages) {
    if (!Step()) return;
    if (!stream_) break;
    if (scheduler_.traces) scheduler_.Trace(absl::StrCat("from ", id_, ": ", message.ShortDebugString()));
    // A worker says a report or a batch again when it is not sure that it arrived.
    const int times = (message.has_report() || message.has_events()) && scheduler_.Chance(0.05) ? 2 : 1;
    for (int i = 0; i < times; ++i) {
      stream_->Send(kWorker, [this, held = std::weak_ptr(stream_), message] {
        if (const auto alive = held.lock()) coordinator_.Receive(alive, message);
      });
    }
  }
  if (!output.close_reason.empty() && stream_) {
    stream_->Close(kWorker, false);
    Disconnected();
  }
}

void Worker::Later(double delay, session::Event event) {
  scheduler_.After(delay, [this, life = life_, event = std::move(event)] {
    if (life != life_) return;
    still_.Do([this, event] { Happen(event); });
  });
}

void Worker::Obey(const session::Order& order) {
  std::visit([this](const auto& o) { Do(o); }, order);
}

void Worker::Do(const session::Prepare& order) {
  const AttemptKey key = session::KeyOf(order.reserve);
  records_[key] = {.reserve = order.reserve, .started = false, .stop = {}};
  if (scheduler_.seconds() < full_until_) {
    Later(0, session::PrepareFailed{key, v1::FAILURE_CAUSE_IO, "no space left on the device"});
    return;
  }
  const double delay = scheduler_.Between(0.1, 3);
  if (ranks_.faults && scheduler_.Chance(0.02)) {
    Later(delay, session::PrepareFailed{key, v1::FAILURE_CAUSE_IO, "the data cannot be read"});
    return;
  }
  const auto& placements = order.reserve.ranks();
  const bool first =
      std::any_of(placements.begin(), placements.end(), [](const auto& p) { return p.rank() == 0; });
  Later(delay,
        session::Prepared{key, first && order.reserve.world_size() > 1 ? absl::StrCat(id_, ":1") : ""});
}

void Worker::Do(const session::StartRanks& order) {
  Record& record = records_.at(order.key);
  record.started = true;
  for (const v1::RankPlacement& placement : record.reserve.ranks()) {
    ranks_.Start(record.reserve, placement,
                 [this, key = order.key, rank = placement.rank()] { TellEnd(key, rank); });
  }
  Later(scheduler_.Between(0, 0.2), session::RanksStarted{order.key});
}

void Worker::TellEnd(const AttemptKey& key, int rank) {
  if (!up() || !records_.contains(key)) return;
  session::RankEnded ended{.key = key, .rank = rank, .end = {}, .last_sequence = 0};
  if (const Rank* known = ranks_.Find(key, rank)) {
    ended.end = *known->end;
    ended.last_sequence = known->events.size();
  } else {
    ended.end = {v1::ATTEMPT_OUTCOME_FAILED, v1::FAILURE_CAUSE_TRAINER_CRASH, "its process is gone"};
  }
  still_.Do([this, ended] { Happen(ended); });
}

void Worker::Do(const session::StopRanks& order) {
  Record& record = records_.at(order.key);
  record.stop = order.stop;
  for (const v1::RankPlacement& placement : record.reserve.ranks())
    ranks_.Stop(order.key, placement.rank(), order.stop.mode);
}

void Worker::Do(const session::ReadEvents& order) {
  const Rank* rank = ranks_.Find(order.key, order.rank);
  session::EventsRead read{.key = order.key, .rank = order.rank, .events = {}};
  if (rank == nullptr || rank->events.size() <= order.after) return;
  for (size_t i = order.after; i < rank->events.size() && i < order.after + static_cast<size_t>(order.limit);
       ++i)
    read.events.push_back(rank->events[i]);
  Later(scheduler_.Between(0, 0.1), std::move(read));
}

void Worker::Do(const session::Forget& order) {
  const auto record = records_.find(order.key);
  if (record == records_.end()) return;
  const v1::Reserve& reserve = record->second.reserve;
  for (const v1::RankPlacement& placement : reserve.ranks()) ranks_.Forget(order.key, placement.rank());
  if (deleted_.erase(order.key) == 0) {
    logs_[order.key] = reserve.trial_dir();
  } else {
    ledger_.artifacts().Delete(id_, reserve.trial_dir());  // what a rank that lived on has written since
  }
  records_.erase(record);
}

void Worker::Do(const session::DeleteFolders& order) {
  for (const std::string& path : order.paths) {
    ledger_.artifacts().Delete(id_, path);
    std::erase_if(logs_, [&](const auto& log) { return IsBelow(log.second, path); });
    for (const auto& [key, record] : records_)
      if (IsBelow(record.reserve.trial_dir(), path)) deleted_.insert(key);
  }
}

}  // namespace mixln::simulation
