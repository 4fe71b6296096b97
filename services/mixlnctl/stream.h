// Reads a server's stream while the terminal stays alive: between messages a tick comes ten times a second.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>

#include "services/rpc/client.h"

namespace mixln::services::mixlnctl {

// Whether the same call may succeed when the coordinator is back.
inline bool MayComeBack(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::UNKNOWN: return true;
    default: return false;
  }
}

struct StreamEnd {
  grpc::Status status;
  bool stopped = false;  // by one of the callbacks, which then knows why
};

// `start` makes the call: (context, queue) → reader, as the stubs' PrepareAsync… do. `on_message` and
// `on_tick` return false to end the stream.
template <class Response, class Start>
StreamEnd ReadStream(Start start, const std::function<bool(const Response&)>& on_message,
                     const std::function<bool()>& on_tick) {
  enum : intptr_t { kStarted = 1, kRead, kFinished };
  const auto tag = [](intptr_t step) { return reinterpret_cast<void*>(step); };
  grpc::ClientContext context;
  rpc::Prepare(context, /*deadline_seconds=*/0);
  grpc::CompletionQueue queue;
  std::unique_ptr<grpc::ClientAsyncReader<Response>> reader = start(&context, &queue);
  Response response;
  StreamEnd end;
  const auto stop = [&] {
    end.stopped = true;
    context.TryCancel();
  };
  bool first = true;
  reader->StartCall(tag(kStarted));
  for (bool finished = false; !finished;) {
    void* done = nullptr;
    bool ok = false;
    const auto next =
        queue.AsyncNext(&done, &ok, std::chrono::system_clock::now() + std::chrono::milliseconds(100));
    if (!end.stopped && !on_tick()) stop();
    if (next != grpc::CompletionQueue::GOT_EVENT) continue;
    if (done == tag(kFinished)) {
      finished = true;
    } else if (!ok) {
      reader->Finish(&end.status, tag(kFinished));
    } else {
      if (done == tag(kRead)) {
        if (first) {
          if (absl::Status version = rpc::CheckServerVersion(context); !version.ok()) {
            end.status = grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, std::string(version.message()));
            context.TryCancel();
            grpc::Status ignored;
            reader->Finish(&ignored, tag(kFinished));
            queue.Next(&done, &ok);
            break;
          }
          first = false;
        }
        if (!end.stopped && !on_message(response)) stop();
      }
      reader->Read(&response, tag(kRead));
    }
  }
  queue.Shutdown();
  return end;
}

}  // namespace mixln::services::mixlnctl
