// One worker's stream. It reads one message, gives it to the loop, and reads the next once that is answered;
// what ranks say waits aside meanwhile (EventIntake), a batch of it in the loop at a time, and is
// acknowledged once it is on disk. So a worker never has more than two events in the loop's queue. What it is
// to be told waits in a bounded outbox.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "services/coordinatord/event_intake.h"
#include "services/coordinatord/worker_session_service.h"

namespace mixln::services::coordinatord {

class WorkerStream : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                     public std::enable_shared_from_this<WorkerStream> {
 public:
  // The stream lives until gRPC is done with it.
  static WorkerStream* Open(const SessionContext& context, grpc::CallbackServerContext& call);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  explicit WorkerStream(const SessionContext& context) : context_(context) {}

  void Begin(grpc::CallbackServerContext& call);
  void Take(const v1::WorkerMessage& message);
  void Greet(const v1::Hello& hello);
  void Handle(const v1::WorkerMessage& message);
  EventIntake::Effects IntakeEffects();
  void StoreEvents(v1::EventBatch batch, std::function<void()> stored);
  // Submits an event; `answered(accepted)` is called afterwards, unless the core wants the stream to end.
  void Submit(coordinator::control::Event event, std::function<void(bool accepted)> answered);
  // What is on disk of each rank that the worker has.
  absl::StatusOr<std::vector<v1::EventAck>> ReadCursors(const v1::Hello& hello);
  void ReadNext();
  void Send(const v1::CoordinatorMessage& message);
  // Counts bad input and ends the stream.
  void Refuse(const std::string& kind, const absl::Status& why);
  void Close(const absl::Status& why);

  const SessionContext context_;
  std::shared_ptr<WorkerStream> self_;  // until OnDone
  uint64_t session_ = 0;
  std::string certified_id_;  // by its certificate; empty without TLS
  std::string worker_id_;     // empty before Hello
  grpc::ByteBuffer incoming_;
  std::shared_ptr<EventIntake> intake_;

  std::mutex mutex_;
  std::deque<grpc::ByteBuffer> outbox_;  // the first one is being written
  bool closed_ = false;
};

}  // namespace mixln::services::coordinatord
