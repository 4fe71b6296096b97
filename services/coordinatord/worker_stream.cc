#include "services/coordinatord/worker_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/failpoint/failpoint.h"
#include "services/rpc/kind.h"
#include "services/rpc/server.h"
#include "services/rpc/status.h"

namespace mixln::services::coordinatord {

namespace control = coordinator::control;

namespace {

constexpr size_t kMaxOutbox = 10'000;
// A batch of events has some hundred kilobytes, a piece of a log one megabyte. Below the server's own limit,
// at which gRPC answers before anybody can count.
constexpr size_t kMaxMessageBytes = 8 << 20;

}  // namespace

WorkerStream* WorkerStream::Open(const SessionContext& context, grpc::CallbackServerContext& call) {
  const std::shared_ptr<WorkerStream> stream(new WorkerStream(context));
  stream->self_ = stream;
  stream->Begin(call);
  return stream.get();
}

void WorkerStream::Begin(grpc::CallbackServerContext& call) {
  if (const auto status = rpc::CheckCaller(call); !status.ok()) {
    Close(status);
    return;
  }
  if (context_.callers != nullptr) {
    const auto caller = context_.callers->Identify(call.client_metadata(), *call.auth_context());
    if (!caller.ok()) {
      Close(caller.status());
      return;
    }
    certified_id_ = caller->identity.name;
  }
  const std::weak_ptr<WorkerStream> weak = weak_from_this();
  intake_ = std::make_shared<EventIntake>(IntakeEffects());
  session_ = context_.sessions.Add({
      .send =
          [weak](const v1::CoordinatorMessage& message) {
            if (const auto stream = weak.lock()) stream->Send(message);
          },
      .close =
          [weak](const absl::Status& why) {
            if (const auto stream = weak.lock()) stream->Close(why);
          },
  });
  ReadNext();
}

void WorkerStream::ReadNext() {
  const std::lock_guard lock(mutex_);
  if (!closed_) StartRead(&incoming_);
}

void WorkerStream::OnReadDone(bool ok) {
  if (!ok) return Close(absl::OkStatus());
  if (incoming_.Length() > kMaxMessageBytes) {
    return Refuse("oversized", absl::ResourceExhaustedError(absl::StrCat("a message of ", incoming_.Length(),
                                                                         " bytes; a worker's may have ",
                                                                         kMaxMessageBytes)));
  }
  v1::WorkerMessage message;
  if (!grpc::SerializationTraits<v1::WorkerMessage>::Deserialize(&incoming_, &message).ok())
    return Refuse("malformed", absl::InvalidArgumentError("bytes that are no message of a worker"));
  Take(message);
}

void WorkerStream::Take(const v1::WorkerMessage& message) {
  if (!worker_id_.empty()) {
    Handle(message);
  } else if (!message.has_hello()) {
    Refuse("out_of_order", absl::InvalidArgumentError("a worker's first message must be a Hello"));
  } else if (message.hello().worker_id().empty()) {
    Refuse("malformed", absl::InvalidArgumentError("a Hello without the worker's id"));
  } else {
    Greet(message.hello());
  }
}

absl::StatusOr<std::vector<v1::EventAck>> WorkerStream::ReadCursors(const v1::Hello& hello) {
  std::vector<v1::EventAck> cursors;
  for (const auto& attempt : hello.attempts()) {
    for (const int32_t rank : attempt.ranks()) {
      const auto sequence = context_.curves.Cursor(attempt.trial_id(), attempt.fence(), rank);
      if (!sequence.ok()) return sequence.status();
      auto& cursor = cursors.emplace_back();
      cursor.set_trial_id(attempt.trial_id());
      *cursor.mutable_fence() = attempt.fence();
      cursor.set_rank(rank);
      cursor.set_sequence(*sequence);
    }
  }
  return cursors;
}

void WorkerStream::Greet(const v1::Hello& hello) {
  if (!certified_id_.empty() && hello.worker_id() != certified_id_) {
    return Refuse("identity", absl::PermissionDeniedError(absl::StrCat(
                                  "worker ", hello.worker_id(), " shows the certificate of worker ",
                                  certified_id_, ": a worker is called as its certificate says")));
  }
  auto cursors = ReadCursors(hello);
  if (!cursors.ok()) {
    Close(absl::UnavailableError(
        absl::StrCat("cursors cannot be read: ", std::string(cursors.status().message()))));
    return;
  }
  worker_id_ = hello.worker_id();
  context_.loop.Submit(control::WorkerConnected{session_, hello, std::move(*cursors)},
                       [self = shared_from_this()](const Loop::Answer& answer) {
                         if (answer.close_session || !answer.outcome.ok()) {
                           self->Close(answer.outcome);
                           return;
                         }
                         self->context_.sessions.SetWorker(self->session_, self->worker_id_);
                         self->ReadNext();
                       });
}

void WorkerStream::Handle(const v1::WorkerMessage& message) {
  const auto read_next = [self = shared_from_this()](bool) { self->ReadNext(); };
  switch (message.message_case()) {
    case v1::WorkerMessage::kHeartbeat:
      Submit(control::HeartbeatReceived{session_, worker_id_, message.heartbeat()}, read_next);
      break;
    case v1::WorkerMessage::kReport:
      Submit(control::AttemptReported{session_, worker_id_, message.report()}, read_next);
      break;
    case v1::WorkerMessage::kEvents:
      base::failpoint::Hit("coordinator.rank events", [&] { return rpc::Kind(message.events()); });
      intake_->Add(message.events(), [self = shared_from_this()] { self->ReadNext(); });
      break;
    case v1::WorkerMessage::kLog:
      context_.logs.Deliver(worker_id_, message.log());
      ReadNext();
      break;
    case v1::WorkerMessage::kHello:
      Refuse("out_of_order", absl::InvalidArgumentError("a second Hello on one stream"));
      break;
    case v1::WorkerMessage::MESSAGE_NOT_SET:
      Refuse("malformed", absl::InvalidArgumentError("a message that says nothing"));
      break;
  }
}

void WorkerStream::Submit(control::Event event, std::function<void(bool accepted)> answered) {
  context_.loop.Submit(std::move(event), [self = shared_from_this(),
                                          answered = std::move(answered)](const Loop::Answer& answer) {
    if (answer.close_session) {
      self->Close(answer.outcome);
      return;
    }
    answered(answer.outcome.ok());
  });
}

EventIntake::Effects WorkerStream::IntakeEffects() {
  // The intake is the stream's own: it must not keep the stream.
  const std::weak_ptr<WorkerStream> weak = weak_from_this();
  return {
      .take =
          [weak](const v1::EventBatch& batch, std::function<void(bool)> answered) {
            const auto stream = weak.lock();
            if (stream == nullptr) return;
            stream->Submit(control::RankEventsReceived{stream->session_, stream->worker_id_, batch},
                           std::move(answered));
          },
      .store =
          [weak](v1::EventBatch batch, std::function<void()> stored) {
            if (const auto stream = weak.lock()) stream->StoreEvents(std::move(batch), std::move(stored));
          },
      .hurry =
          [weak] {
            if (const auto stream = weak.lock()) stream->context_.curves.Hurry();
          },
  };
}

void WorkerStream::StoreEvents(v1::EventBatch batch, std::function<void()> stored) {
  base::failpoint::Hit("coordinator.rank events accepted", [&] { return rpc::Kind(batch); });
  v1::CoordinatorMessage message;
  auto* ack = message.mutable_event_ack();
  ack->set_trial_id(batch.trial_id());
  *ack->mutable_fence() = batch.fence();
  ack->set_rank(batch.rank());
  const auto status = context_.curves.Append(
      std::move(batch),
      [self = shared_from_this(), message, stored = std::move(stored)](uint64_t cursor) mutable {
        message.mutable_event_ack()->set_sequence(cursor);
        self->Send(message);
        stored();
      });
  // The worker keeps what is not acknowledged, and sends it again on its next stream.
  if (!status.ok()) Close(status);
}

void WorkerStream::Send(const v1::CoordinatorMessage& message) {
  grpc::ByteBuffer bytes;
  bool own_buffer = false;
  grpc::SerializationTraits<v1::CoordinatorMessage>::Serialize(message, &bytes, &own_buffer);
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    if (outbox_.size() < kMaxOutbox) {
      outbox_.push_back(std::move(bytes));
      if (outbox_.size() == 1) StartWrite(&outbox_.front());
      return;
    }
  }
  Close(absl::ResourceExhaustedError("this worker reads too slowly"));
}

void WorkerStream::OnWriteDone(bool ok) {
  if (!ok) {
    Close(absl::UnavailableError("the stream broke"));
    return;
  }
  const std::lock_guard lock(mutex_);
  outbox_.pop_front();
  if (!closed_ && !outbox_.empty()) StartWrite(&outbox_.front());
}

void WorkerStream::Refuse(const std::string& kind, const absl::Status& why) {
  context_.metrics.CountRefused(kind);
  Close(why);
}

void WorkerStream::Close(const absl::Status& why) {
  if (intake_ != nullptr) intake_->Stop();
  const std::lock_guard lock(mutex_);
  if (std::exchange(closed_, true)) return;
  Finish(rpc::ToGrpc(why));
}

void WorkerStream::OnCancel() {
  Close(absl::CancelledError("the stream was cancelled"));
}

void WorkerStream::OnDone() {
  context_.sessions.Remove(session_);
  if (!worker_id_.empty())
    context_.loop.Submit(control::WorkerDisconnected{.session = session_, .worker_id = worker_id_},
                         [](const Loop::Answer&) {});
  self_.reset();
}

}  // namespace mixln::services::coordinatord
