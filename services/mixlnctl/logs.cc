// `logs`: what a rank wrote.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/backoff/backoff.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/format.h"
#include "services/mixlnctl/lookup.h"
#include "services/mixlnctl/session.h"
#include "services/mixlnctl/since.h"
#include "services/mixlnctl/stream.h"
#include "services/mixlnctl/trial_text.h"

namespace mixln::services::mixlnctl {
namespace {

struct LogsOptions {
  std::string trial;
  int rank = 0;
  int attempt = 0;  // as `describe trial` numbers them; 0: the last
  int tail = 0;
  std::string since;  // see ParseSince; empty: all
  bool follow = false;
};

bool HasEnded(const v1::Trial& trial, uint64_t epoch) {
  return std::any_of(trial.attempts().begin(), trial.attempts().end(), [&](const v1::Attempt& attempt) {
    return attempt.fence().epoch() == epoch && attempt.has_end_time();
  });
}

// Writes the log to io.out as it comes. A stream that breaks while it is followed is opened again where it
// broke, for as long as the attempt may still write.
absl::Status Read(Io& io, Client& client, v1::ReadLogRequest request, bool attempt_ended) {
  for (int failures = 0;;) {
    const StreamEnd end = ReadStream<v1::ReadLogResponse>(
        [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
          return client.trials().PrepareAsyncReadLog(context, request, queue);
        },
        [&](const v1::ReadLogResponse& piece) {
          failures = 0;
          request.set_offset(piece.next_offset());
          request.clear_tail_lines();
          request.clear_since();
          io.out << piece.data() << std::flush;
          return io.out.good();
        },
        [] { return true; });
    if (end.stopped || end.status.ok()) return absl::OkStatus();
    absl::Status error = client.Error(end.status);
    if (!request.follow() || attempt_ended || !MayComeBack(end.status)) return error;
    if (failures == 0) io.err << "waiting for the log: " << error.message() << std::endl;
    std::this_thread::sleep_for(base::Backoff({}, failures++, /*draw=*/0));
    v1::GetTrialRequest get;
    get.set_trial_id(request.trial_id());
    const auto trial = client.Call(client.trials(), &v1::TrialService::Stub::GetTrial, get);
    if (trial.ok()) attempt_ended = HasEnded(*trial, request.epoch());
  }
}

absl::StatusOr<int> Logs(Session& session, const LogsOptions& options) {
  Io& io = session.io;
  auto client = session.Connect();
  if (!client.ok()) return client.status();
  auto trial = FindTrial(**client, options.trial);
  if (!trial.ok()) return trial.status();
  if (trial->attempts().empty()) {
    return absl::FailedPreconditionError(absl::StrCat("trial ", trial->id(), " has no log yet: it is ",
                                                      StateName(trial->state()),
                                                      trial->reason().empty() ? "" : ", ", trial->reason()));
  }
  const int attempts = trial->attempts_size();
  if (options.attempt > attempts) {
    return absl::InvalidArgumentError(absl::StrCat(
        "trial ", trial->id(), " has ", Plural(attempts, "attempt"), ", no number ", options.attempt));
  }
  const v1::Attempt& attempt = trial->attempts(options.attempt > 0 ? options.attempt - 1 : attempts - 1);
  if (attempt.ranks_size() > 0 && options.rank >= attempt.ranks_size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the attempt has ranks 0 to ", attempt.ranks_size() - 1, ", no rank ", options.rank));
  }
  v1::ReadLogRequest request;
  request.set_trial_id(trial->id());
  request.set_rank(options.rank);
  request.set_epoch(attempt.fence().epoch());
  request.set_follow(options.follow);
  request.set_tail_lines(options.tail);
  if (!options.since.empty()) {
    const auto since = ParseSince(options.since, absl::Now());
    if (!since.ok()) return since.status();
    request.mutable_since()->set_seconds(absl::ToUnixSeconds(*since));
  }
  const absl::Status read = Read(io, **client, request, attempt.has_end_time());
  if (read.ok()) return kOk;
  if (trial->state() == v1::TRIAL_STATE_STARTING && &attempt == &*trial->attempts().rbegin()) {
    const std::string& phase = trial->progress().phase();
    return absl::FailedPreconditionError(absl::StrCat(
        "trial ", trial->id(), " has no log yet: it is STARTING", phase.empty() ? "" : ", ", phase));
  }
  return read;
}

}  // namespace

void AddLogsCommand(CLI::App& app, Session& session) {
  auto options = std::make_shared<LogsOptions>();
  CLI::App* logs =
      app.add_subcommand("logs", "What a trial's rank wrote to its standard streams")->group("Look");
  logs->add_option("trial", options->trial, "The trial")->type_name("TRIAL")->required();
  logs->add_flag("-f,--follow", options->follow, "Go on until the attempt ends");
  logs->add_option("--rank", options->rank, "The rank (default: 0)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  logs->add_option("--tail", options->tail, "Only the last N lines first")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  logs->add_option("--since", options->since,
                   "Only lines from this time on: 90s, 10m or 1h30m ago, or 2026-11-24T03:42:18Z")
      ->type_name("TIME");
  logs->add_option("--attempt", options->attempt,
                   "The attempt, as `describe trial` numbers them (default: the last)")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  logs->callback(
      [&session, options] { session.action = [&session, options] { return Logs(session, *options); }; });
}

}  // namespace mixln::services::mixlnctl
