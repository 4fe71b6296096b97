// Runs mixln-prepare: one process for each DataSpec at a time, whoever waits for it, and ends it when nobody
// does any more.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file/unique_fd.h"
#include "mixln/v1/session.pb.h"
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
  Result Poll();
  // Readable when there is news.
  std::vector<int> Fds() const;

 private:
  struct Job {
    std::set<session::AttemptKey> waiting;
    pid_t pid = 0;
    base::UniqueFd pidfd;
    base::UniqueFd output;  // its standard output
    std::string partial;    // the line that is not whole yet
    std::string detail;
    std::string dataset_dir;
    std::string error;
    std::filesystem::path log;
  };
  static void End(Job& job);
  static void Read(Job& job);
  void TellWaiting(const Job& job, int status, Result& result) const;

  Options options_;
  std::map<std::string, Job> jobs_;  // by the DataSpec as JSON
  int started_ = 0;
};

}  // namespace mixln::worker::agent
