#include "worker/agent/preparer.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file/durable.h"
#include "worker/agent/log_file.h"
#include "worker/agent/process.h"
#include "worker/agent/rank_end.h"

namespace mixln::worker::agent {
namespace {

constexpr size_t kMessageBytes = 2000;

std::string ToJson(const v1::DataSpec& data) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  return google::protobuf::util::MessageToJsonString(data, &text, options).ok() ? text : "";
}

}  // namespace

Preparer::~Preparer() {
  for (const auto& [request, job] : jobs_) Kill(job);
}

absl::Status Preparer::Request(const session::AttemptKey& key, const v1::DataSpec& data) {
  const std::string request = ToJson(data);
  if (const auto running = jobs_.find(request); running != jobs_.end()) {
    running->second.waiting.insert(key);
    return absl::OkStatus();
  }
  const std::filesystem::path stem = options_.folder / absl::StrCat("prepare-", started_++);
  const std::string request_file = stem.string() + ".json";
  if (auto made = base::MakeFolders(options_.folder); !made.ok()) return made;
  if (auto made = base::MakeFolders(options_.cache); !made.ok()) return made;
  if (auto written = base::WriteFileDurably(request_file, request); !written.ok()) return written;
  Job job(options_.hang);
  job.waiting.insert(key);
  job.log = stem.string() + ".log";
  const base::UniqueFd log(open(job.log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  int output[2];
  if (!log || pipe2(output, O_CLOEXEC) != 0)
    return base::ErrnoStatus(errno, absl::StrCat("cannot write ", job.log.string()));
  job.output.reset(output[0]);
  const base::UniqueFd write_end(output[1]);
  fcntl(output[0], F_SETFL, O_NONBLOCK);
  SpawnOptions spawn;
  spawn.fds = {{write_end.get(), 1}, {log.get(), 2}};
  std::vector<std::string> command{options_.program, "--request", request_file, "--cache",
                                   options_.cache.string()};
  for (const auto& root : options_.data_roots) command.insert(command.end(), {"--data-root", root.string()});
  auto process = Spawn(command, spawn);
  if (!process.ok()) return process.status();
  job.pid = process->pid;
  job.pidfd = std::move(process->pidfd);
  jobs_.emplace(request, std::move(job));
  return absl::OkStatus();
}

void Preparer::Kill(const Job& job) {
  kill(-job.pid, SIGKILL);  // not reaped yet, so the group's number is its own
  killed_.push_back(job.pid);
}

void Preparer::Abandon(const session::AttemptKey& key) {
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    Job& job = it->second;
    const bool unwanted = job.waiting.erase(key) != 0 && job.waiting.empty();
    if (unwanted) Kill(job);
    it = unwanted ? jobs_.erase(it) : std::next(it);
  }
}

void Preparer::Read(Job& job) {
  char buffer[4096];
  for (ssize_t n; (n = read(job.output.get(), buffer, sizeof buffer)) > 0;)
    job.partial.append(buffer, static_cast<size_t>(n));
  for (size_t end; (end = job.partial.find('\n')) != std::string::npos; job.partial.erase(0, end + 1)) {
    const auto line = nlohmann::json::parse(job.partial.substr(0, end), nullptr, false);
    ++job.lines;
    if (!line.is_object()) continue;
    if (line.contains("dataset_dir") && line["dataset_dir"].is_string())
      job.dataset_dir = line["dataset_dir"];
    if (line.contains("error") && line["error"].is_string()) job.error = line["error"];
    if (!line.contains("phase") || !line["phase"].is_string()) continue;
    job.detail = line["phase"];
    if (line.contains("fraction") && line["fraction"].is_number())
      absl::StrAppendFormat(&job.detail, " %.0f%%",
                            100 * std::clamp(line["fraction"].get<double>(), 0.0, 1.0));
  }
}

std::optional<std::string> Preparer::FindHang(Job& job, base::Time now) {
  job.watch.See(0, {pulse::Phase::kStarting, 0, 0, job.lines + CpuTime(job.pid)}, now);
  const auto hang = job.watch.Judge(now);
  if (!hang) return std::nullopt;
  return absl::StrCat("mixln-prepare hangs at \"", job.detail.empty() ? "beginning" : job.detail,
                      "\": ", hang->what,
                      "; do the file systems of the corpus and of the artifacts folder answer?");
}

void Preparer::TellEnd(const Job& job, int status, Result& result) {
  const bool exited = WIFEXITED(status);
  const int code = exited ? WEXITSTATUS(status) : 0;
  if (exited && code == 0 && !job.dataset_dir.empty()) {
    for (const auto& key : job.waiting) result.prepared.emplace_back(key, job.dataset_dir);
    return;
  }
  std::string message = job.error;
  if (message.empty()) {
    message = exited ? absl::StrCat("mixln-prepare exited with code ", code)
                     : absl::StrCat("mixln-prepare was killed by ", SignalName(WTERMSIG(status)));
    const std::string words = LastLines(job.log, 20, kMessageBytes - 100);
    if (!words.empty()) absl::StrAppend(&message, "; its last words:\n", words);
  }
  v1::FailureCause cause = exited ? CauseOfExitCode(code) : v1::FAILURE_CAUSE_IO;
  if (cause == v1::FAILURE_CAUSE_TRAINER_CRASH)
    cause = v1::FAILURE_CAUSE_IO;  // no trainer ran yet; it may be tried again
  TellFailure(job, cause, message.substr(0, kMessageBytes), result);
}

void Preparer::TellFailure(const Job& job, v1::FailureCause cause, const std::string& message,
                           Result& result) {
  for (const auto& key : job.waiting) result.events.push_back(session::PrepareFailed{key, cause, message});
}

Preparer::Result Preparer::Poll(base::Time now) {
  std::erase_if(killed_, [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG) != 0; });
  Result result;
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    Job& job = it->second;
    const bool ended = HasEnded(job.pidfd);  // asked before the last read, so that nothing it wrote is missed
    const std::string before = job.detail;
    Read(job);
    if (job.detail != before)
      for (const auto& key : job.waiting) result.events.push_back(session::PrepareProgress{key, job.detail});
    std::optional<std::string> hang;
    if (ended) {
      int status = 0;
      kill(-job.pid, SIGKILL);
      waitpid(job.pid, &status, 0);
      TellEnd(job, status, result);
    } else if ((hang = FindHang(job, now))) {
      Kill(job);
      TellFailure(job, v1::FAILURE_CAUSE_HANG, *hang, result);
    }
    it = ended || hang ? jobs_.erase(it) : std::next(it);
  }
  return result;
}

std::vector<int> Preparer::Fds() const {
  std::vector<int> fds;
  for (const auto& [request, job] : jobs_) {
    fds.push_back(job.pidfd.get());
    fds.push_back(job.output.get());
  }
  return fds;
}

}  // namespace mixln::worker::agent
