#include "worker/agent/rank_end.h"

#include <signal.h>

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file/durable.h"
#include "worker/agent/event_tail.h"
#include "worker/agent/log_file.h"
#include "worker/agent/process.h"
#include "worker/agent/rank.h"

namespace mixln::worker::agent {
namespace {

constexpr int kLogLines = 20;
constexpr size_t kMessageBytes = 2000;

}  // namespace

v1::FailureCause CauseOfExitCode(int code) {
  switch (code) {
    case 64: return v1::FAILURE_CAUSE_BAD_CONFIG;
    case 65: return v1::FAILURE_CAUSE_DATA_ERROR;
    case 71: return v1::FAILURE_CAUSE_OUT_OF_MEMORY;
    case 72: return v1::FAILURE_CAUSE_PEER_LOST;
    case 74: return v1::FAILURE_CAUSE_IO;
    case 76: return v1::FAILURE_CAUSE_DIVERGED;
    default: return v1::FAILURE_CAUSE_TRAINER_CRASH;
  }
}

session::RankEnd ReadRankEnd(const std::filesystem::path& folder) {
  session::RankEnd end;
  end.outcome = v1::ATTEMPT_OUTCOME_FAILED;
  end.cause = v1::FAILURE_CAUSE_TRAINER_CRASH;
  const auto text = base::ReadFile(folder / "exit.json");
  const nlohmann::json exit = text.ok() ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
  if (exit.is_object() && exit.contains("exit_code") && exit["exit_code"].is_number_integer()) {
    const int code = exit["exit_code"];
    if (code == 0) return {v1::ATTEMPT_OUTCOME_FINISHED, v1::FAILURE_CAUSE_UNSPECIFIED, ""};
    if (code == 75) return {v1::ATTEMPT_OUTCOME_STOPPED, v1::FAILURE_CAUSE_UNSPECIFIED, ""};
    if (code == 76) end.outcome = v1::ATTEMPT_OUTCOME_DIVERGED;
    end.cause = CauseOfExitCode(code);
    end.message = absl::StrCat("exited with code ", code);
  } else if (exit.is_object() && exit.contains("signal") && exit["signal"].is_number_integer()) {
    const int signal = exit["signal"];
    end.message = absl::StrCat("was killed by signal ", signal, " (", SignalName(signal), ")");
    end.killed = signal == SIGKILL && std::filesystem::exists(folder / kKilledFile);
    if (!end.killed && exit.value("out_of_memory", false)) {
      end.cause = v1::FAILURE_CAUSE_OUT_OF_MEMORY;
      absl::StrAppend(&end.message, " while the kernel killed for want of memory");
    }
  } else {
    end.message = "left no exit status: its shim is gone, too, so it was killed or the machine went down";
  }
  const LastEvent last = ReadLastEvent(folder / "events.jsonl");
  if (last.event.has_failed()) {
    end.killed = false;
    if (last.event.failed().cause() != v1::FAILURE_CAUSE_UNSPECIFIED) end.cause = last.event.failed().cause();
    if (end.cause == v1::FAILURE_CAUSE_DIVERGED) end.outcome = v1::ATTEMPT_OUTCOME_DIVERGED;
    const std::string& sentence = last.event.failed().message();
    if (sentence.empty()) return end;
    if (end.outcome == v1::ATTEMPT_OUTCOME_DIVERGED) {
      end.message = sentence;  // a result; how the process ended says nothing more
    } else {
      absl::StrAppend(&end.message, ": ", sentence);
    }
    return end;
  }
  const std::string introduction = "; its last words:\n";
  const std::string words =
      LastLines(folder / "log", kLogLines, kMessageBytes - introduction.size() - end.message.size());
  if (!words.empty()) absl::StrAppend(&end.message, introduction, words);
  return end;
}

}  // namespace mixln::worker::agent
