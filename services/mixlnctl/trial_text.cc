#include "services/mixlnctl/trial_text.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/mixlnctl/exit_codes.h"
#include "services/mixlnctl/format.h"

namespace mixln::services::mixlnctl {
namespace {

std::string WithoutPrefix(const std::string& name, const std::string& prefix) {
  return name.rfind(prefix, 0) == 0 ? name.substr(prefix.size()) : name;
}

}  // namespace

std::string StateName(v1::TrialState state) {
  return WithoutPrefix(v1::TrialState_Name(state), "TRIAL_STATE_");
}

std::string CauseName(v1::FailureCause cause) {
  return WithoutPrefix(v1::FailureCause_Name(cause), "FAILURE_CAUSE_");
}

std::string WorkerStateName(v1::WorkerState state) {
  return WithoutPrefix(v1::WorkerState_Name(state), "WORKER_STATE_");
}

std::string PaintState(const std::string& state, const Style& style) {
  if (state == "RUNNING" || state == "SUCCEEDED" || state == "READY") return style.Green(state);
  if (state == "FAILED" || state == "LOST") return style.Red(state);
  if (state == "PENDING") return style.Dim(state);
  return style.Yellow(state);
}

std::string ShortWorkerId(const std::string& id) {
  return id.substr(0, 12);
}

std::string ParameterText(const google::protobuf::RepeatedPtrField<v1::CellParameter>& parameters,
                          bool last_words) {
  std::string text;
  for (const auto& p : parameters) {
    // Without a dot, npos + 1 is 0: the whole path.
    const std::string name = last_words ? p.path().substr(p.path().rfind('.') + 1) : p.path();
    absl::StrAppend(&text, text.empty() ? "" : " ", name, "=", p.value());
  }
  return text.empty() ? "-" : text;
}

std::string ValuesText(const v1::Parameter& parameter) {
  const v1::Distribution& from = parameter.distribution();
  if (from.kind() == v1::Distribution::KIND_UNSPECIFIED) return absl::StrJoin(parameter.values(), ", ");
  const bool log = from.kind() == v1::Distribution::KIND_LOG_UNIFORM;
  return absl::StrCat(log ? "log_uniform" : "uniform", " from ", from.min(), " to ", from.max());
}

std::string SearchText(const v1::SearchSpec& search) {
  std::string text = absl::AsciiStrToLower(WithoutPrefix(v1::Strategy_Name(search.strategy()), "STRATEGY_"));
  if (search.samples() > 0)
    absl::StrAppend(&text, ", ", Plural(search.samples(), "draw"), " with seed ", search.seed());
  if (search.strategy() == v1::STRATEGY_ASHA) {
    absl::StrAppend(&text, ", one trial in ", search.asha().reduction_factor(), " goes on from step ",
                    search.asha().min_steps(), " and its ", search.asha().reduction_factor(),
                    "-fold multiples");
    if (search.asha().max_steps() > 0) absl::StrAppend(&text, " below ", search.asha().max_steps());
  }
  return text;
}

int UnfinishedTrials(const v1::TrialCounts& c) {
  return c.pending() + c.starting() + c.running() + c.stopping() + c.paused();
}

int TotalTrials(const v1::TrialCounts& c) {
  return UnfinishedTrials(c) + c.succeeded() + c.failed() + c.diverged() + c.pruned() + c.cancelled() +
         c.superseded();
}

std::string CountsText(const v1::TrialCounts& c) {
  const std::array<std::pair<int, const char*>, 11> parts{{{c.running(), "running"},
                                                           {c.starting(), "starting"},
                                                           {c.stopping(), "stopping"},
                                                           {c.pending(), "pending"},
                                                           {c.paused(), "paused"},
                                                           {c.succeeded(), "succeeded"},
                                                           {c.failed(), "failed"},
                                                           {c.diverged(), "diverged"},
                                                           {c.pruned(), "pruned"},
                                                           {c.cancelled(), "cancelled"},
                                                           {c.superseded(), "tried again"}}};
  std::string text;
  for (const auto& [count, word] : parts) {
    if (count > 0) absl::StrAppend(&text, text.empty() ? "" : ", ", count, " ", word);
  }
  return text.empty() ? "no trials" : text;
}

int ExitCodeOf(const v1::TrialCounts& counts) {
  if (UnfinishedTrials(counts) > 0) return kUnfinished;
  if (counts.failed() > 0) return kFailed;
  if (counts.cancelled() > 0) return kCancelled;
  return kOk;
}

bool IsTerminal(v1::TrialState state) {
  return state >= v1::TRIAL_STATE_SUCCEEDED;
}

int ExitCodeOf(v1::TrialState state) {
  if (!IsTerminal(state)) return kUnfinished;
  if (state == v1::TRIAL_STATE_FAILED) return kFailed;
  if (state == v1::TRIAL_STATE_CANCELLED) return kCancelled;
  return kOk;
}

int64_t TrainTokens(const v1::TrialSpec& spec) {
  return spec.train().steps() * spec.train().batch().sequences() * spec.data().context();
}

double SecondsOf(const google::protobuf::Timestamp& time) {
  return static_cast<double>(time.seconds()) + time.nanos() * 1e-9;
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) return "-";
  const std::time_t seconds = time.seconds();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  const size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &utc);
  return {text.data(), length};
}

std::string AgeText(const google::protobuf::Timestamp& time, double now_seconds) {
  if (time.seconds() == 0) return "-";
  return FormatDuration(std::max(0.0, now_seconds - SecondsOf(time)));
}

}  // namespace mixln::services::mixlnctl
