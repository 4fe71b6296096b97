// The trash of an artifacts root, `<root>/.mixln-trash`: where folders go that are deleted. To move one there
// is quick and lasts over a crash; to remove a checkpoint of many gigabytes from a network's file system may
// take longer than a lease, and a worker's heartbeats must not wait for it. So a thread empties the trash,
// and what one daemon leaves in it the next one, on whatever host, finds.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <stop_token>
#include <thread>

namespace mixln::worker::agent {

std::filesystem::path TrashFolder(const std::filesystem::path& artifacts_root);

class TrashCollector {
 public:
  explicit TrashCollector(const std::filesystem::path& artifacts_root);

  // Something is in the trash, or may be.
  void Collect();

 private:
  void Run(const std::stop_token& stop);

  const std::filesystem::path folder_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  bool wanted_ = false;
  std::jthread thread_;  // the last member: it uses the others
};

}  // namespace mixln::worker::agent
