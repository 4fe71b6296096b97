#include "services/mixlnctl/follow.h"

#include <chrono>
#include <ostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/backoff/backoff.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/live_table.h"
#include "services/mixlnctl/results_text.h"
#include "services/mixlnctl/stream.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

// Whether to watch again: a server that shuts down ends its streams, and a revision may be compacted.
bool MayGoOn(const grpc::Status& status) {
  return status.ok() || status.error_code() == grpc::StatusCode::OUT_OF_RANGE || MayComeBack(status);
}

// Shows what happens in the way that was asked for.
class Screen {
 public:
  Screen(Io& io, const FollowOptions& options)
      : io_(io),
        options_(options),
        live_(io.out_is_terminal && !options.silent && !IsMessageFormat(options.format)) {}

  void Show(const v1::WatchSweepResponse& change) {
    if (!note_.empty()) {
      note_.clear();
      if (!live_ && !options_.silent) io_.err << "connected again\n";
    }
    if (IsMessageFormat(options_.format)) {
      if (auto json = MessageJson(change, /*indented=*/false); json.ok()) io_.out << *json << std::endl;
    } else if (!live_ && !options_.silent) {
      for (const v1::TrialView& trial : change.trials()) {
        const auto known = view_.trials.find(trial.index());
        const auto line = ChangeLine(known == view_.trials.end() ? nullptr : &known->second, trial);
        if (line) io_.out << *line << std::endl;
      }
    }
    Apply(view_, change);
    dirty_ = true;
  }

  void Note(const std::string& note) {
    if (note == note_) return;
    note_ = note;
    dirty_ = true;
    if (!live_) io_.err << note << std::endl;
  }

  // Draws what changed; called ten times a second.
  void Refresh() {
    const auto second = static_cast<int64_t>(SecondsSince(begin_));
    if (!live_ || view_.trials.empty() || (!dirty_ && second == drawn_second_)) return;
    drawn_second_ = second;
    dirty_ = false;
    LiveOptions live{.width = io_.width > 0 ? io_.width : 80,
                     .height = io_.height > 0 ? io_.height : 24,
                     .unicode = io_.unicode,
                     .style = io_.out_style,
                     .elapsed_seconds = Elapsed(),
                     .note = note_};
    std::string frame;
    if (lines_drawn_ > 0) absl::StrAppend(&frame, "\x1b[", lines_drawn_, "A");
    const auto lines = LiveLines(view_, live);
    for (const std::string& line : lines) absl::StrAppend(&frame, "\r", line, "\x1b[K\n");
    absl::StrAppend(&frame, "\x1b[J");
    lines_drawn_ = lines.size();
    io_.out << frame << std::flush;
  }

  const SweepView& view() const { return view_; }

 private:
  // Since the sweep was accepted, by the two hosts' clocks, or since we began to look.
  double Elapsed() const {
    const double created = SecondsOf(view_.sweep.create_time());
    const double now =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    return created > 0 && now > created ? now - created : SecondsSince(begin_);
  }

  Io& io_;
  const FollowOptions& options_;
  const bool live_;
  const Clock::time_point begin_ = Clock::now();
  SweepView view_;
  std::string note_;
  bool dirty_ = false;
  int64_t drawn_second_ = -1;
  size_t lines_drawn_ = 0;
};

// The exit code once the wanted trials have ended; kUnfinished before.
int Outcome(const SweepView& view, const std::string& trial_id) {
  // The sweep's counts leave out trials that others have tried again.
  if (trial_id.empty())
    return TotalTrials(view.sweep.counts()) == 0 ? kUnfinished : ExitCodeOf(view.sweep.counts());
  for (const auto& [index, trial] : view.trials) {
    if (trial.trial_id() != trial_id) continue;
    v1::TrialState state = v1::TRIAL_STATE_UNSPECIFIED;
    v1::TrialState_Parse(absl::StrCat("TRIAL_STATE_", ShortState(trial)), &state);
    return ExitCodeOf(state);
  }
  return kUnfinished;
}

}  // namespace

absl::StatusOr<int> Follow(Io& io, Client& client, const std::string& sweep_id,
                           const FollowOptions& options) {
  const InterruptGuard guard;
  const auto begin = Clock::now();
  Screen screen(io, options);
  enum class Why { kNone, kEnded, kInterrupted, kTimeout } why = Why::kNone;
  const auto on_tick = [&] {
    screen.Refresh();
    if (io.interrupted()) why = Why::kInterrupted;
    if (options.timeout_seconds > 0 && SecondsSince(begin) >= options.timeout_seconds) why = Why::kTimeout;
    return why == Why::kNone;
  };
  v1::WatchSweepRequest request;
  request.set_sweep_id(sweep_id);
  for (int failures = 0; why == Why::kNone;) {
    const StreamEnd end = ReadStream<v1::WatchSweepResponse>(
        [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
          return client.sweeps().PrepareAsyncWatchSweep(context, request, queue);
        },
        [&](const v1::WatchSweepResponse& change) {
          failures = 0;
          screen.Show(change);
          if (Outcome(screen.view(), options.trial_id) != kUnfinished) why = Why::kEnded;
          return why == Why::kNone;
        },
        on_tick);
    if (why != Why::kNone) break;
    if (!MayGoOn(end.status)) return client.Error(end.status);
    screen.Note(absl::StrCat("the coordinator at ", client.target().address,
                             " went away; the sweep runs on; reconnecting"));
    const double pause = base::ToSeconds(base::Backoff({}, failures++, /*draw=*/0));
    for (const auto from = Clock::now(); SecondsSince(from) < pause && on_tick();) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  screen.Refresh();
  if (why == Why::kInterrupted) {
    io.err << "\nleft sweep " << sweep_id << " running: `mixlnctl watch " << sweep_id
           << "` comes back to it, `mixlnctl cancel " << sweep_id << "` ends it\n";
    return kUnfinished;
  }
  if (why == Why::kTimeout) {
    io.err << "not ended within " << options.timeout_seconds
           << " s: " << CountsText(screen.view().sweep.counts()) << "\n";
    return kUnfinished;
  }
  return Outcome(screen.view(), options.trial_id);
}

}  // namespace mixln::services::mixlnctl
