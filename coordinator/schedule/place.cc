#include "coordinator/schedule/place.h"

#include <algorithm>
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

bool GoesAfter(const v1::Trial* a, const v1::Trial* b) {
  return std::pair(-a->spec().resources().priority(), a->index()) >
         std::pair(-b->spec().resources().priority(), b->index());
}

// One sweep's waiting trials, and what decides when its next one is up.
struct Queue {
  const v1::Sweep* sweep = nullptr;
  int live = 0;                           // live trials, those placed by this walk included
  std::vector<const v1::Trial*> waiting;  // a heap, the next one first: often only a few are ever asked for
};

// Orders sweeps by their first trial: priority, then fewest live trials, then age, then name.
using TurnKey = std::tuple<int, int, int64_t, std::string>;

TurnKey KeyOf(const Queue& queue) {
  return {-queue.waiting.front()->spec().resources().priority(), queue.live,
          state::FromTimestamp(queue.sweep->create_time()).micros, queue.sweep->id()};
}

std::map<std::string, Queue> WaitingBySweep(const state::State& state, base::Time steady) {
  std::map<std::string, Queue> queues;
  for (const std::string& id : state.pending) {
    const v1::Trial& trial = state.trials.at(id);
    const auto not_before = state.not_before.find(id);
    if (not_before != state.not_before.end() && not_before->second > steady) continue;
    queues[trial.sweep_id()].waiting.push_back(&trial);
  }
  for (auto& [sweep_id, queue] : queues) {
    queue.sweep = &state.sweeps.at(sweep_id);
    const v1::TrialCounts& counts = queue.sweep->counts();
    queue.live = counts.starting() + counts.running() + counts.stopping();
    std::make_heap(queue.waiting.begin(), queue.waiting.end(), GoesAfter);
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

// A trial that got no slots.
struct Waiting {
  const v1::Trial* trial;
  v1::Device kind;
};

struct Offers {
  std::vector<Assignment> assignments;
  std::vector<Waiting> waiting;  // in their order
};

// Takes slots of the pool for the trial; empty: there are none for it, and where they could be once, they are
// kept for it.
std::vector<v1::RankPlacement> TakeOrKeep(const state::State& state, const v1::Trial& trial, v1::Device kind,
                                          Pool& pool) {
  const int wanted = trial.spec().resources().ranks();
  const bool bound = state.checkpoint_until.contains(trial.id());
  const std::string folder = FolderOf(trial);
  std::vector<v1::RankPlacement> ranks = pool.Take(kind, wanted, folder);
  if (ranks.empty() && !folder.empty() && !bound) ranks = pool.Take(kind, wanted);
  const std::string where = bound ? folder : "";
  if (ranks.empty() && pool.Count(kind, where).total >= wanted) pool.Keep(kind, where);
  return ranks;
}

// Offers the pool's slots to one waiting trial after the other: to `all`, or until none is left to take.
Offers Offer(const state::State& state, base::Time steady, Pool& pool, bool all) {
  Offers offers;
  if (!all && !pool.HasOpen()) return offers;
  std::map<std::string, Queue> queues = WaitingBySweep(state, steady);
  std::set<std::pair<TurnKey, Queue*>> turns;
  for (auto& [id, queue] : queues) turns.emplace(KeyOf(queue), &queue);
  while (!turns.empty() && (all || pool.HasOpen())) {
    Queue* queue = turns.begin()->second;
    turns.erase(turns.begin());
    const v1::Trial& trial = *queue->waiting.front();
    std::pop_heap(queue->waiting.begin(), queue->waiting.end(), GoesAfter);
    queue->waiting.pop_back();
    const v1::Device kind = pool.KindFor(trial.spec().resources());
    if (auto ranks = TakeOrKeep(state, trial, kind, pool); !ranks.empty()) {
      ++queue->live;
      offers.assignments.push_back({trial.id(), std::move(ranks)});
    } else {
      offers.waiting.push_back({&trial, kind});
    }
    if (!queue->waiting.empty()) turns.emplace(KeyOf(*queue), queue);
  }
  return offers;
}

}  // namespace

std::vector<Assignment> Place(const state::State& state, base::Time steady) {
  if (state.pending.empty()) return {};
  Pool pool(state);
  return Offer(state, steady, pool, false).assignments;
}

std::map<std::string, std::string> Explain(const state::State& state, base::Time steady) {
  Pool pool(state);
  const std::vector<Waiting> waiting = Offer(state, steady, pool, true).waiting;
  std::map<std::string, std::string> reasons;
  for (size_t ahead = 0; ahead < waiting.size(); ++ahead) {
    const auto& [trial, kind] = waiting[ahead];
    const int ranks = trial->spec().resources().ranks();
    const KindCount& count = pool.Count(kind);
    const bool elsewhere = state.checkpoint_until.contains(trial->id()) &&
                           pool.Count(kind, FolderOf(*trial)).total < count.total;
    reasons[trial->id()] =
        elsewhere ? Reason(state, *trial) : Reason(pool, count, kind, ranks, static_cast<int>(ahead));
  }
  return reasons;
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
