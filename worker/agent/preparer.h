// Runs mixln-prepare: one process for each DataSpec at a time, whoever waits for it, and ends it when nobody
// does any more, or when it hangs: it says nothing and uses no CPU for too long, as when a file system does
// not answer.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file/unique_fd.h"
#include "base/time/time.h"
#include "mixln/v1/session.pb.h"
#include "worker/pulse/hang.h"
#include "worker/session/attempt.h"
#include "worker/session/event.h"

namespace mixln::worker::agent {

class Preparer {
 public:
  struct Options {
    std::string program;                                 // mixln-prepare
    std::filesystem::path folder;                        // for requests and logs
    std::filesystem::path cache;                         // where the shards go
    std::vector<std::filesystem::path> data_roots = {};  // where sources may lie; none: anywhere
    pulse::HangLimits hang = {};                         // its `start` is how long one may show no life
  };
  // What Poll found out.
  struct Result {
    std::vector<session::Event> events;  // PrepareProgress and PrepareFailed
    std::vector<std::pair<session::AttemptKey, std::string>>
        prepared;  // with the absolute folder of the shards
  };

  explicit Preparer(Options options) : options_(std::move(options)) {}
  Preparer(const Preparer&) = delete;
  ~Preparer();

  // Prepares `data` for an attempt; its progress and end come out of Poll.
  absl::Status Request(const session::AttemptKey& key, const v1::DataSpec& data);
  // The attempt no longer needs it.
  void Abandon(const session::AttemptKey& key);
  // To be called often.
  Result Poll(base::Time now);
  // Readable when there is news.
  std::vector<int> Fds() const;

 private:
  struct Job {
    explicit Job(const pulse::HangLimits& limits) : watch(limits) {}
    std::set<session::AttemptKey> waiting;
    pid_t pid = 0;
    base::UniqueFd pidfd;
    base::UniqueFd output;  // its standard output
    std::string partial;    // the line that is not whole yet
    std::string detail;
    std::string dataset_dir;
    std::string error;
    std::filesystem::path log;
    uint64_t lines = 0;      // it has said
    pulse::HangWatch watch;  // as of a rank 0
  };
  void Kill(const Job& job);
  static void Read(Job& job);
  static std::optional<std::string> FindHang(Job& job, base::Time now);
  static void TellEnd(const Job& job, int status, Result& result);
  static void TellFailure(const Job& job, v1::FailureCause cause, const std::string& message, Result& result);

  Options options_;
  std::map<std::string, Job> jobs_;  // by the DataSpec as JSON
  std::vector<pid_t> killed_;  // to be reaped: one that is stuck inside of the kernel may take long to end
  int started_ = 0;
};

}  // namespace mixln::worker::agent
