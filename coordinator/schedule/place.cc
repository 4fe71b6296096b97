#include "coordinator/schedule/place.h"

#include <algorithm>
#include <deque>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "coordinator/schedule/pool.h"
#include "coordinator/state/trials.h"

namespace mixln::coordinator::schedule {
namespace {

const char* KindName(v1::Device kind) {
  return kind == v1::DEVICE_GPU ? "gpu" : "cpu";
}

std::string Plural(int n, const std::string& noun) {
  return absl::StrCat(n, " ", noun, n == 1 ? "" : "s");
}

// One sweep's waiting trials in their order, and what decides when its next one is up.
struct Queue {
  const v1::Sweep* sweep = nullptr;
  int live = 0;  // live trials, those placed in this plan included
  std::deque<const v1::Trial*> waiting;
};

// Orders sweeps by their first trial: priority, then fewest live trials, then age, then name.
using TurnKey = std::tuple<int, int, int64_t, std::string>;

TurnKey KeyOf(const Queue& queue) {
  return {-queue.waiting.front()->spec().resources().priority(), queue.live,
          state::FromTimestamp(queue.sweep->create_time()).micros, queue.sweep->id()};
}

std::map<std::string, Queue> WaitingBySweep(const state::State& state, base::Time steady) {
  std::map<std::string, Queue> queues;
  for (const auto& [id, trial] : state.trials) {
    if (trial.state() != v1::TRIAL_STATE_PENDING) continue;
    const auto not_before = state.not_before.find(id);
    if (not_before != state.not_before.end() && not_before->second > steady) continue;
    queues[trial.sweep_id()].waiting.push_back(&trial);
  }
  for (auto& [sweep_id, queue] : queues) {
    queue.sweep = &state.sweeps.at(sweep_id);
    const v1::TrialCounts& counts = queue.sweep->counts();
    queue.live = counts.starting() + counts.running() + counts.stopping();
    std::sort(queue.waiting.begin(), queue.waiting.end(), [](const v1::Trial* a, const v1::Trial* b) {
      return std::pair(-a->spec().resources().priority(), a->index()) <
             std::pair(-b->spec().resources().priority(), b->index());
    });
  }
  return queues;
}

// Where the trial's checkpoint lies, if not every worker may see it.
std::string FolderOf(const v1::Trial& trial) {
  const v1::Checkpoint* checkpoint = state::ResumePoint(trial);
  return checkpoint == nullptr ? "" : checkpoint->artifacts_id();
}

// Why a trial waits that may only go where its checkpoint is.
std::string Reason(const state::State& state, const v1::Trial& trial) {
  return absl::StrCat("waiting for ", Plural(trial.spec().resources().ranks(), "slot"), " on ",
                      state::HostsThatSee(state, FolderOf(trial)), ", where its checkpoint of step ",
                      state::ResumePoint(trial)->step(),
                      " is; starts anew elsewhere when the coordinator's --checkpoint-wait-seconds are over");
}

// Why a trial that did not get `ranks` slots of `kind` waits.
std::string Reason(const Pool& pool, const KindCount& count, v1::Device kind, int ranks, int ahead) {
  if (pool.workers() == 0) return "waiting for a worker: none is connected and ready";
  if (count.total < ranks) {
    return absl::StrCat("waiting for ", Plural(ranks, absl::StrCat(KindName(kind), " slot")), ": the ",
                        Plural(pool.workers(), "ready worker"), pool.workers() == 1 ? " offers " : " offer ",
                        count.total);
  }
  std::string reason = absl::StrCat("waiting for ", Plural(ranks, absl::StrCat(KindName(kind), " slot")),
                                    ": ", count.free, " of ", count.total, " free");
  if (ahead > 0) absl::StrAppend(&reason, ", ", Plural(ahead, "trial"), " ahead");
  return reason;
}

}  // namespace

Plan Place(const state::State& state, base::Time steady) {
  Plan plan;
  std::map<std::string, Queue> queues = WaitingBySweep(state, steady);
  if (queues.empty()) return plan;
  Pool pool(state);
  std::set<std::pair<TurnKey, Queue*>> turns;
  for (auto& [id, queue] : queues) turns.emplace(KeyOf(queue), &queue);

  struct Waiting {
    const v1::Trial* trial;
    v1::Device kind;
    int ahead;
  };
  std::vector<Waiting> waiting;
  while (!turns.empty()) {
    Queue* queue = turns.begin()->second;
    turns.erase(turns.begin());
    const v1::Trial* trial = queue->waiting.front();
    queue->waiting.pop_front();
    const v1::ResourceSpec& resources = trial->spec().resources();
    const v1::Device kind = pool.KindFor(resources);
    const bool bound = state.checkpoint_until.contains(trial->id());
    const std::string folder = FolderOf(*trial);
    std::vector<v1::RankPlacement> ranks = pool.Take(kind, resources.ranks(), folder);
    if (ranks.empty() && !folder.empty() && !bound) ranks = pool.Take(kind, resources.ranks());
    if (ranks.empty()) {
      const std::string where = bound ? folder : "";
      if (pool.Count(kind, where).total >= resources.ranks()) pool.Keep(kind, where);
      waiting.push_back({trial, kind, static_cast<int>(waiting.size())});
    } else {
      ++queue->live;
      plan.assignments.push_back({trial->id(), std::move(ranks)});
    }
    if (!queue->waiting.empty()) turns.emplace(KeyOf(*queue), queue);
  }
  const std::map<v1::Device, KindCount> counts = {{v1::DEVICE_CPU, pool.Count(v1::DEVICE_CPU)},
                                                  {v1::DEVICE_GPU, pool.Count(v1::DEVICE_GPU)}};
  for (const Waiting& w : waiting) {
    const int ranks = w.trial->spec().resources().ranks();
    const bool elsewhere = state.checkpoint_until.contains(w.trial->id()) &&
                           pool.Count(w.kind, FolderOf(*w.trial)).total < counts.at(w.kind).total;
    plan.reasons[w.trial->id()] =
        elsewhere ? Reason(state, *w.trial) : Reason(pool, counts.at(w.kind), w.kind, ranks, w.ahead);
  }
  return plan;
}

absl::Status Fits(const state::State& state, const v1::TrialSpec& spec) {
  if (state.workers.empty()) return absl::OkStatus();
  std::map<v1::Device, int> offered;
  for (const auto& [id, record] : state.workers) {
    for (const v1::Slot& slot : record.worker.slots()) ++offered[slot.device()];
  }
  const int ranks = spec.resources().ranks();
  const bool cpu = spec.resources().device() != v1::DEVICE_GPU && offered[v1::DEVICE_CPU] >= ranks;
  const bool gpu = spec.resources().device() != v1::DEVICE_CPU && offered[v1::DEVICE_GPU] >= ranks;
  if (cpu || gpu) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "resources.ranks: ", ranks, " ranks can never be placed: all ",
      Plural(static_cast<int>(state.workers.size()), "known worker"), " together offer ",
      Plural(offered[v1::DEVICE_CPU], "cpu slot"), " and ", Plural(offered[v1::DEVICE_GPU], "gpu slot"),
      ". Ask for fewer ranks, another resources.device, or start more workers first"));
}

}  // namespace mixln::coordinator::schedule
