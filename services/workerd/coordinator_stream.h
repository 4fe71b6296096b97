// The worker's stream to the coordinator: what gRPC's threads bring is put into a queue for the daemon's one
// loop.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "mixln/v1/session.grpc.pb.h"

namespace mixln::services::workerd {

class CoordinatorStream : private grpc::ClientBidiReactor<v1::WorkerMessage, v1::CoordinatorMessage> {
 public:
  // Opens the stream. `wake_fd` is an eventfd that is written whenever there is news.
  CoordinatorStream(const std::shared_ptr<grpc::Channel>& channel, int wake_fd);
  // Ends the stream if need be, and waits for that.
  ~CoordinatorStream() override;

  // Queues a message; they are sent in order. Never waits.
  void Send(v1::WorkerMessage message);
  // What has come since the last call.
  std::vector<v1::CoordinatorMessage> Receive();
  // How the stream ended; empty while it lives. What came before the end is still given by Receive.
  std::optional<grpc::Status> Ended();
  // FAILED_PRECONDITION when the coordinator is of another major version. After the first message, or the
  // end.
  absl::Status CheckVersion() const;

 private:
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;
  void Wake() const;

  const int wake_fd_;
  std::unique_ptr<v1::WorkerSessionService::Stub> stub_;
  grpc::ClientContext context_;
  v1::CoordinatorMessage incoming_;
  std::mutex mutex_;
  std::condition_variable ended_changed_;
  bool closed_ = false;                     // nothing can be written any more
  std::deque<v1::WorkerMessage> outgoing_;  // the first one is being written
  std::vector<v1::CoordinatorMessage> received_;
  std::optional<grpc::Status> ended_;
};

}  // namespace mixln::services::workerd
