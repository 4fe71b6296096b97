// The live streams of workers, by number and by worker. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "mixln/v1/session.pb.h"

namespace mixln::services::coordinatord {

class Sessions {
 public:
  // What one stream can be asked for, from any thread; both do nothing once it has ended.
  struct Stream {
    std::function<void(v1::CoordinatorMessage)> send;
    std::function<void(const absl::Status&)> close;
  };

  // Gives the stream its number, which is never used again.
  uint64_t Add(Stream stream);
  // The core has accepted the stream as this worker's.
  void SetWorker(uint64_t session, const std::string& worker_id);
  void Remove(uint64_t session);

  void Send(uint64_t session, v1::CoordinatorMessage message) const;
  // False when the worker has no live stream.
  bool SendToWorker(const std::string& worker_id, v1::CoordinatorMessage message) const;
  // This worker when it has a live stream, else another one that has; empty when none has.
  std::string ThisOrAnother(const std::string& worker_id) const;
  void Close(uint64_t session, const absl::Status& why) const;
  void CloseAll(const absl::Status& why) const;

 private:
  mutable std::mutex mutex_;
  uint64_t last_ = 0;
  std::map<uint64_t, Stream> streams_;
  std::map<std::string, uint64_t> by_worker_;
};

}  // namespace mixln::services::coordinatord
