#include "services/mixlnctl/fleet_view.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/progress_bar.h"
#include "services/mixlnctl/table.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

constexpr double kShowEndedSeconds = 600;
constexpr int kBarWidth = 10;
constexpr int kReasonWidth = 40;
constexpr size_t kFewest = 3;  // rows of a table before another one's are cut

bool HasLease(const v1::Worker& worker) {
  return worker.state() == v1::WORKER_STATE_READY || worker.state() == v1::WORKER_STATE_DRAINING;
}

bool HoldsSlots(const v1::Trial& trial) {
  return trial.state() == v1::TRIAL_STATE_STARTING || trial.state() == v1::TRIAL_STATE_RUNNING ||
         trial.state() == v1::TRIAL_STATE_STOPPING;
}

// Tokens a second that a trial trains at now.
double Speed(const v1::Trial& trial) {
  return trial.state() == v1::TRIAL_STATE_RUNNING ? trial.progress().tokens_per_second() : 0;
}

std::string SpeedText(double tokens_per_second) {
  return tokens_per_second > 0 ? FormatCount(tokens_per_second) : "-";
}

int UsedSlots(const v1::Worker& worker) {
  return static_cast<int>(std::count_if(worker.slots().begin(), worker.slots().end(),
                                        [](const v1::Slot& slot) { return !slot.trial_id().empty(); }));
}

std::string Host(const v1::Worker& worker) {
  return worker.hostname().empty() ? ShortWorkerId(worker.id()) : worker.hostname();
}

std::vector<const v1::Trial*> TrialsOf(const FleetView& view, const v1::Sweep& sweep) {
  std::vector<const v1::Trial*> trials;
  for (const v1::Trial& trial : view.trials)
    if (trial.sweep_id() == sweep.id()) trials.push_back(&trial);
  return trials;
}

// Share of a sweep's updates done; an ended trial counts as all of its.
double Done(const v1::Sweep& sweep, const std::vector<const v1::Trial*>& trials) {
  if (UnfinishedTrials(sweep.counts()) == 0) return 1;
  double done = 0;
  double all = 0;
  for (const v1::Trial* trial : trials) {
    const auto steps = static_cast<double>(trial->spec().train().steps());
    all += steps;
    done += IsTerminal(trial->state()) ? steps : static_cast<double>(trial->progress().step());
  }
  return all > 0 ? done / all : 0;
}

std::string SummaryLine(const FleetView& view, const FleetOptions& options) {
  int with_lease = 0;
  int used = 0;
  int slots = 0;
  double speed = 0;
  for (const v1::Worker& worker : view.workers) {
    if (!HasLease(worker)) continue;
    ++with_lease;
    used += UsedSlots(worker);
    slots += worker.slots_size();
  }
  for (const v1::Trial& trial : view.trials) speed += Speed(trial);
  const double fraction = slots > 0 ? static_cast<double>(used) / slots : 0;
  return absl::StrCat(options.style.Bold("mixln"), " ", view.coordinator, "  ", with_lease, "/",
                      Plural(static_cast<int64_t>(view.workers.size()), "worker"), "  ",
                      ProgressBar(fraction, kBarWidth, options.unicode), " ", used, "/",
                      Plural(slots, "slot"), "  ", SpeedText(speed), " tokens/s");
}

Table SweepTable(const FleetView& view, const FleetOptions& options) {
  Table table({{"SWEEP"},
               {"PROGRESS", Align::kLeft, 2},
               {"DONE", Align::kRight},
               {"TOKENS/S", Align::kRight},
               {"AGE", Align::kRight, 3},
               {"TRIALS"}});
  for (const v1::Sweep& sweep : view.sweeps) {
    const bool ended = UnfinishedTrials(sweep.counts()) == 0;
    if (ended && options.now_seconds - SecondsOf(sweep.end_time()) > kShowEndedSeconds) continue;
    const auto trials = TrialsOf(view, sweep);
    double speed = 0;
    for (const v1::Trial* trial : trials) speed += Speed(*trial);
    const double done = Done(sweep, trials);
    table.AddRow({sweep.id(), ProgressBar(done, kBarWidth, options.unicode),
                  absl::StrCat(static_cast<int>(done * 100), "%"), SpeedText(speed),
                  AgeText(sweep.create_time(), options.now_seconds), CountsText(sweep.counts())});
  }
  return table;
}

Table WorkerTable(const FleetView& view, const FleetOptions& options) {
  std::map<std::string, double> speeds;
  for (const v1::Trial& trial : view.trials) speeds[trial.id()] = Speed(trial);
  Table table({{"WORKER"},
               {"STATE"},
               {"SLOTS", Align::kRight},
               {"TOKENS/S", Align::kRight},
               {"HEARTBEAT", Align::kRight, 2},
               {"RUNS", Align::kLeft, 1}});
  for (const v1::Worker& worker : view.workers) {
    std::map<std::string, int> runs;  // slots by trial
    for (const v1::Slot& slot : worker.slots())
      if (!slot.trial_id().empty()) ++runs[slot.trial_id()];
    double speed = 0;
    std::string names;
    for (const auto& [trial, slots] : runs) {
      speed += speeds[trial];
      absl::StrAppend(&names, names.empty() ? "" : " ", trial, slots > 1 ? absl::StrCat("x", slots) : "");
    }
    table.AddRow({Host(worker), PaintState(WorkerStateName(worker.state()), options.style),
                  absl::StrCat(UsedSlots(worker), "/", worker.slots_size()), SpeedText(speed),
                  AgeText(worker.heartbeat_time(), options.now_seconds), names.empty() ? "-" : names});
  }
  return table;
}

Table TrialTable(const FleetView& view, const FleetOptions& options) {
  Table table({{"TRIAL"},
               {"PARAMETERS", Align::kLeft, 2},
               {"STATE"},
               {"STEP", Align::kRight, 1},
               {"LOSS", Align::kRight},
               {"PERPLEXITY", Align::kRight, 3},
               {"GRADIENT", Align::kRight, 5},
               {"TOKENS/S", Align::kRight},
               {"REASON", Align::kLeft, 4}});
  const auto add = [&](const v1::Trial& trial) {
    const v1::TrialProgress& progress = trial.progress();
    table.AddRow({trial.id(), ParameterText(trial.parameters(), /*last_words=*/true),
                  PaintState(StateName(trial.state()), options.style),
                  absl::StrCat(progress.step(), "/", trial.spec().train().steps()),
                  FormatLoss(progress.loss()), FormatPerplexity(progress.perplexity()),
                  FormatLoss(progress.gradient_norm()), SpeedText(Speed(trial)),
                  Truncate(trial.reason(), kReasonWidth, options.unicode)});
  };
  for (const v1::Trial& trial : view.trials)
    if (HoldsSlots(trial)) add(trial);
  for (const v1::Trial& trial : view.trials)
    if (!HoldsSlots(trial) && !IsTerminal(trial.state())) add(trial);
  return table;
}

// The table's lines, at most `room` of them: its header and as many rows as fit, then how many do not.
std::vector<std::string> Cut(std::vector<std::string> lines, size_t room, const FleetOptions& options) {
  if (lines.size() <= room) return lines;
  const size_t kept = room > 1 ? room - 1 : 0;
  const size_t hidden = lines.size() - std::max<size_t>(kept, 1);
  lines.resize(kept);
  if (room > 0)
    lines.push_back(
        options.style.Dim(absl::StrCat(options.unicode ? "… " : "... ", hidden, " more not shown")));
  return lines;
}

}  // namespace

std::vector<Alert> FleetAlerts(const FleetView& view, double now_seconds) {
  std::vector<Alert> alerts;
  const bool ready = std::any_of(view.workers.begin(), view.workers.end(), [](const v1::Worker& worker) {
    return worker.state() == v1::WORKER_STATE_READY;
  });
  if (!ready) alerts.push_back({true, "no worker is ready"});
  for (const v1::Worker& worker : view.workers) {
    const std::string why = worker.reason().empty() ? "" : absl::StrCat(": ", worker.reason());
    if (worker.state() == v1::WORKER_STATE_LOST) {
      alerts.push_back({true, absl::StrCat("worker ", Host(worker), " is lost, last heard of ",
                                           AgeText(worker.heartbeat_time(), now_seconds), " ago")});
    } else if (worker.drained() || worker.state() == v1::WORKER_STATE_DRAINING) {
      alerts.push_back({false, absl::StrCat("worker ", Host(worker), " takes no new trials", why)});
    } else if (worker.state() == v1::WORKER_STATE_UNKNOWN) {
      alerts.push_back(
          {false, absl::StrCat("worker ", Host(worker), " has not come back since the coordinator started")});
    }
  }
  for (const v1::Sweep& sweep : view.sweeps) {
    if (UnfinishedTrials(sweep.counts()) == 0) continue;
    const v1::TrialCounts& counts = sweep.counts();
    const auto trials = TrialsOf(view, sweep);
    const v1::Trial* waits = nullptr;
    for (const v1::Trial* trial : trials) {
      if (trial->state() == v1::TRIAL_STATE_PENDING && waits == nullptr) waits = trial;
      if (trial->state() == v1::TRIAL_STATE_FAILED)
        alerts.push_back({true, absl::StrCat(trial->id(), " failed: ", trial->reason())});
      if (trial->retries() > 0 && !IsTerminal(trial->state())) {
        alerts.push_back({false, absl::StrCat(trial->id(), " was tried again ",
                                              Plural(trial->retries(), "time"), " without progress")});
      }
    }
    if (waits != nullptr && counts.running() + counts.starting() + counts.stopping() == 0) {
      alerts.push_back(
          {true, absl::StrCat("nothing of ", sweep.id(),
                              " runs: ", waits->reason().empty() ? "it waits for slots" : waits->reason())});
    }
    if (counts.diverged() > 0)
      alerts.push_back(
          {false, absl::StrCat(sweep.id(), ": ", Plural(counts.diverged(), "trial"), " diverged")});
  }
  std::stable_partition(alerts.begin(), alerts.end(), [](const Alert& alert) { return alert.severe; });
  return alerts;
}

std::vector<std::string> FleetLines(const FleetView& view, const FleetOptions& options) {
  std::vector<std::string> lines{Truncate(SummaryLine(view, options), options.width, options.unicode)};
  if (!options.note.empty())
    lines.push_back(options.style.Yellow(Truncate(options.note, options.width, options.unicode)));
  std::vector<std::vector<std::string>> parts;  // in the order of what may take room from what
  auto& alerts = parts.emplace_back();
  for (const Alert& alert : FleetAlerts(view, options.now_seconds)) {
    const std::string text = Truncate(absl::StrCat("! ", alert.text), options.width, options.unicode);
    alerts.push_back(alert.severe ? options.style.Red(text) : options.style.Yellow(text));
  }
  for (const Table& table :
       {SweepTable(view, options), WorkerTable(view, options), TrialTable(view, options)})
    parts.push_back(table.empty() ? std::vector<std::string>{} : table.Lines(options.style, options.width));
  for (size_t part = 0; part < parts.size(); ++part) {
    if (parts[part].empty()) continue;
    if (options.height > 0) {
      // Those that follow keep their fewest lines; a blank one stands before each.
      size_t reserved = lines.size() + 1;
      for (size_t later = part + 1; later < parts.size(); ++later)
        if (!parts[later].empty()) reserved += 1 + std::min(parts[later].size(), kFewest);
      const auto height = static_cast<size_t>(options.height);
      parts[part] = Cut(std::move(parts[part]), std::max(height, reserved) - reserved, options);
      if (parts[part].empty()) continue;
    }
    lines.emplace_back();
    lines.insert(lines.end(), parts[part].begin(), parts[part].end());
  }
  return lines;
}

}  // namespace mixln::services::mixlnctl
