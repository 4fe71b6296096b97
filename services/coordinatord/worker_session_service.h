// The workers' edge: one bidirectional stream from each, turned into events for the loop.
#pragma once

#include <grpcpp/grpcpp.h>

#include "coordinator/store/curve_store.h"
#include "mixln/v1/session.grpc.pb.h"
#include "services/access/callers.h"
#include "services/coordinatord/log_relay.h"
#include "services/coordinatord/loop.h"
#include "services/coordinatord/sessions.h"

namespace mixln::services::coordinatord {

// What a stream works with; all outlive the server.
struct SessionContext {
  Loop& loop;
  Sessions& sessions;
  coordinator::store::CurveStore& curves;
  LogRelay& logs;
  Metrics& metrics;
  const access::Callers* callers;  // null without TLS: a worker is who it says
};

// Takes messages as bytes: gRPC ends a stream with bytes that it cannot read as if it had ended well.
class WorkerSessionService
    : public v1::WorkerSessionService::WithRawCallbackMethod_Connect<v1::WorkerSessionService::Service> {
 public:
  explicit WorkerSessionService(SessionContext context) : context_(context) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Connect(
      grpc::CallbackServerContext* call) override;

 private:
  const SessionContext context_;
};

}  // namespace mixln::services::coordinatord
