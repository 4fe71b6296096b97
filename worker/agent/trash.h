// The trash of an artifacts root, `<root>/.mixln-trash`: where folders go that are deleted. To move one there
// is quick and done once and for all; to remove a checkpoint of many gigabytes from a network's file system
// may take longer than a lease, and a worker's heartbeats must not wait for it. So a thread empties the
// trash.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>

namespace mixln::worker::agent {

std::filesystem::path TrashFolder(const std::filesystem::path& artifacts_root);

// Removes what is in the trash under names that begin with `own`; at first, what other daemons left there,
// too.
class TrashCollector {
 public:
  TrashCollector(const std::filesystem::path& artifacts_root, std::string own);

  // Something is in the trash, or may be.
  void Collect();

 private:
  void Run(const std::stop_token& stop);
  void Empty(const std::stop_token& stop);

  const std::filesystem::path folder_;
  const std::string own_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  bool wanted_ = false;
  bool first_ = true;            // the thread's
  std::set<std::string> stuck_;  // the thread's: what could not be removed is left to the next daemon
  std::jthread thread_;          // the last member: it uses the others
};

}  // namespace mixln::worker::agent
