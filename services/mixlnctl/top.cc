// `top`: the whole cluster, live.
#include <CLI/CLI.hpp>
#include <chrono>
#include <ostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/fleet_view.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWide = 400;  // where no terminal says how wide it is

struct TopOptions {
  double interval_seconds = 2;
  bool once = false;
};

absl::StatusOr<FleetView> Look(Client& client) {
  FleetView view{.coordinator = client.target().address, .workers = {}, .sweeps = {}, .trials = {}};
  auto workers =
      client.Call(client.workers(), &v1::WorkerAdminService::Stub::ListWorkers, v1::ListWorkersRequest());
  if (!workers.ok()) return workers.status();
  auto sweeps = ListSweeps(client);
  if (!sweeps.ok()) return sweeps.status();
  for (v1::Worker& worker : *workers->mutable_workers()) view.workers.push_back(std::move(worker));
  for (v1::Sweep& sweep : *sweeps->mutable_sweeps()) {
    if (UnfinishedTrials(sweep.counts()) > 0) {
      auto trials = ListTrials(client, sweep.id());
      if (absl::IsNotFound(trials.status())) continue;  // deleted since
      if (!trials.ok()) return trials.status();
      for (v1::Trial& trial : *trials->mutable_trials()) view.trials.push_back(std::move(trial));
    }
    view.sweeps.push_back(std::move(sweep));
  }
  return view;
}

std::string Frame(const Io& io, const FleetView& view, bool live, const std::string& note) {
  const FleetOptions options{
      .width = io.width > 0 ? io.width : kWide,
      .height = live ? std::max(1, (io.height > 0 ? io.height : 24) - 1) : 0,
      .unicode = io.unicode,
      .style = io.out_style,
      .now_seconds =
          std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(),
      .note = note};
  std::string frame;
  for (const std::string& line : FleetLines(view, options))
    absl::StrAppend(&frame, line, live ? "\x1b[K\n" : "\n");
  return frame;
}

// The terminal's second screen without a cursor while it lives, so that the first one is as it was
// afterwards.
class SecondScreen {
 public:
  explicit SecondScreen(Io& io) : io_(io) { io_.out << "\x1b[?1049h\x1b[?25l" << std::flush; }
  ~SecondScreen() { io_.out << "\x1b[?25h\x1b[?1049l" << std::flush; }
  SecondScreen(const SecondScreen&) = delete;
  SecondScreen& operator=(const SecondScreen&) = delete;

 private:
  Io& io_;
};

absl::StatusOr<int> Top(Session& session, const TopOptions& options) {
  Io& io = session.io;
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  auto view = Look(**client);
  if (!view.ok()) return view.status();
  if (options.once || !io.out_is_terminal) {
    io.out << Frame(io, *view, /*live=*/false, "");
    return kOk;
  }
  const InterruptGuard guard;
  const SecondScreen screen(io);
  std::string note;
  while (true) {
    io.out << "\x1b[H" << Frame(io, *view, /*live=*/true, note) << "\x1b[J" << std::flush;
    const auto next =
        Clock::now() + std::chrono::milliseconds(static_cast<int>(options.interval_seconds * 1000));
    while (Clock::now() < next) {
      if (io.interrupted()) return kOk;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    auto newer = Look(**client);
    if (newer.ok()) {
      view = std::move(newer);
      note.clear();
    } else if (absl::IsUnavailable(newer.status()) || absl::IsDeadlineExceeded(newer.status())) {
      note = absl::StrCat("the coordinator at ", (*client)->target().address, " went away; trying again");
    } else {
      return newer.status();
    }
  }
}

}  // namespace

void AddTopCommand(CLI::App& app, Session& session) {
  auto options = std::make_shared<TopOptions>();
  CLI::App* top =
      app.add_subcommand("top",
                         "Sweeps, slots, throughput and alerts of the whole cluster, live; Ctrl-C ends it")
          ->group("Look");
  top->add_option("--interval", options->interval_seconds, "Seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0).description(""))
      ->type_name("SECONDS")
      ->capture_default_str();
  top->add_flag("--once", options->once, "Look once, as it does where standard output is no terminal");
  top->callback(
      [&session, options] { session.action = [&session, options] { return Top(session, *options); }; });
}

}  // namespace mixln::services::mixlnctl
